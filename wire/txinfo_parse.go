package wire

import "github.com/go-json-experiment/json/jsontext"

// txInfo reads a tx_info into t, which may be nil for what is no object. What is of the wrong kind there is a Problem and
// leaves its field empty; a key in the wrong case is an error.
func (p *parser) txInfo(t *TxInfo, value jsontext.Value) error {
	outer := p.lenient
	p.lenient = true
	defer func() { p.lenient = outer }()
	if value.Kind() != '{' {
		return p.wrong("must be a JSON object")
	}
	return readObject(p, t, value, txInfoMembers)
}

// txInfoMembers are the keys of tx_info, and those below them the keys of what is in it.
var txInfoMembers = []member[TxInfo]{
	{"vaultId", text(func(t *TxInfo) *string { return &t.VaultID })},
	{"walletId", text(func(t *TxInfo) *string { return &t.WalletID })},
	{"requestId", text(func(t *TxInfo) *string { return &t.RequestID })},
	{"chainSymbol", text(func(t *TxInfo) *string { return &t.ChainSymbol })},
	{"assetId", text(func(t *TxInfo) *string { return &t.AssetID })},
	{"from", text(func(t *TxInfo) *string { return &t.From })},
	{"to", text(func(t *TxInfo) *string { return &t.To })},
	{"toTag", text(func(t *TxInfo) *string { return &t.ToTag })},
	{"amount", text(func(t *TxInfo) *string { return &t.Amount })},
	{"fee", text(func(t *TxInfo) *string { return &t.Fee })},
	{"fee_rate", text(func(t *TxInfo) *string { return &t.FeeRate })},
	{"gasPrice", text(func(t *TxInfo) *string { return &t.GasPrice })},
	{"gasLimit", text(func(t *TxInfo) *string { return &t.GasLimit })},
	{"inputdata", text(func(t *TxInfo) *string { return &t.InputData })},
	{"remark", text(func(t *TxInfo) *string { return &t.Remark })},
	{"note", text(func(t *TxInfo) *string { return &t.Note })},
	{"curInputId", text(func(t *TxInfo) *string { return &t.CurInputID })},
	{"tapScriptRoot", text(func(t *TxInfo) *string { return &t.TapScriptRoot })},
	{"publickKey", text(func(t *TxInfo) *string { return &t.PublicKey })},
	{"extraData", objectOrNone(func(t *TxInfo) **ExtraData { return &t.ExtraData }, extraDataMembers)},
	{"brc20Details", objects(func(t *TxInfo) *[]BRC20Detail { return &t.BRC20Details }, brc20Members)},
	{"runeDetails", objects(func(t *TxInfo) *[]RuneDetail { return &t.RuneDetails }, runeMembers)},
	{"rawTx", text(func(t *TxInfo) *string { return &t.RawTx })},
	{"requester", objectOrNone(func(t *TxInfo) **Requester { return &t.Requester }, requesterMembers)},
}

var requesterMembers = []member[Requester]{
	{"key_id", text(func(r *Requester) *string { return &r.KeyID })},
	{"signature", text(func(r *Requester) *string { return &r.Signature })},
}

var extraDataMembers = []member[ExtraData]{
	{"toTag", text(func(e *ExtraData) *string { return &e.ToTag })},
	{"vinList", objects(func(e *ExtraData) *[]Vin { return &e.VinList }, vinMembers)},
	{"voutList", objects(func(e *ExtraData) *[]Vout { return &e.VoutList }, voutMembers)},
}

var vinMembers = []member[Vin]{
	{"address", text(func(in *Vin) *string { return &in.Address })},
	{"amount", number(func(in *Vin) *string { return &in.Amount })},
	{"blockHash", text(func(in *Vin) *string { return &in.BlockHash })},
	{"blockHeight", number(func(in *Vin) *string { return &in.BlockHeight })},
	{"blockState", number(func(in *Vin) *string { return &in.BlockState })},
	{"blockTimeStamp", number(func(in *Vin) *string { return &in.BlockTimeStamp })},
	{"currency", text(func(in *Vin) *string { return &in.Currency })},
	{"id", number(func(in *Vin) *string { return &in.ID })},
	{"state", number(func(in *Vin) *string { return &in.State })},
	{"tag", text(func(in *Vin) *string { return &in.Tag })},
	{"transactionHash", text(func(in *Vin) *string { return &in.TransactionHash })},
	{"voutIndex", number(func(in *Vin) *string { return &in.VoutIndex })},
}

var voutMembers = []member[Vout]{
	{"address", text(func(out *Vout) *string { return &out.Address })},
	{"amount", number(func(out *Vout) *string { return &out.Amount })},
}

var brc20Members = []member[BRC20Detail]{
	{"method", text(func(d *BRC20Detail) *string { return &d.Method })},
	{"ticker", text(func(d *BRC20Detail) *string { return &d.Ticker })},
	{"quantity", text(func(d *BRC20Detail) *string { return &d.Quantity })},
	{"inscriptionId", text(func(d *BRC20Detail) *string { return &d.InscriptionID })},
	{"step", number(func(d *BRC20Detail) *string { return &d.Step })},
	{"from", text(func(d *BRC20Detail) *string { return &d.From })},
	{"to", text(func(d *BRC20Detail) *string { return &d.To })},
}

var runeMembers = []member[RuneDetail]{
	{"fromAddress", text(func(d *RuneDetail) *string { return &d.FromAddress })},
	{"toAddress", text(func(d *RuneDetail) *string { return &d.ToAddress })},
	{"runeName", text(func(d *RuneDetail) *string { return &d.RuneName })},
	{"runeId", text(func(d *RuneDetail) *string { return &d.RuneID })},
	{"runeSpacedName", text(func(d *RuneDetail) *string { return &d.RuneSpacedName })},
	{"runeAmount", text(func(d *RuneDetail) *string { return &d.RuneAmount })},
	{"runeSymbol", text(func(d *RuneDetail) *string { return &d.RuneSymbol })},
	{"runeDivisibility", number(func(d *RuneDetail) *string { return &d.RuneDivisibility })},
}
