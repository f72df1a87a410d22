package evidence_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"
)

// erc20 and native are claims that say exactly what their transaction of testdata/evm does.
func erc20(t testing.TB) evidence.Claim {
	c := claimOf(t, specs()["eip1559-erc20-transfer"])
	c.Asset = evidence.Asset{Kind: evidence.AssetERC20, Contract: token}
	c.To, c.Amount, c.InputData = alice, big.NewInt(1500000000), "0x"+transferData
	return c
}

func native(t testing.TB) evidence.Claim { return claimOf(t, specs()["eip1559-native"]) }

// claimOf claims a transaction as one of the native coin, with its calldata declared.
func claimOf(t testing.TB, s txSpec) evidence.Claim {
	t.Helper()
	raw := s.payload(t)
	c := evidence.Claim{
		Family: evidence.FamilyEVM, ChainID: s.chainID, Asset: evidence.Asset{Kind: evidence.AssetNative},
		From: bob, Signer: bob, Amount: s.value, GasPrice: s.price, GasLimit: new(big.Int).SetUint64(s.gas),
		Fee:     new(big.Int).Mul(s.price, new(big.Int).SetUint64(s.gas)),
		Message: hex.EncodeToString(crypto.Keccak256(raw)), RawTx: "0x" + hex.EncodeToString(raw),
	}
	if s.to != nil {
		c.To = s.to.Hex()
	}
	if len(s.data) > 0 {
		c.InputData = "0x" + hex.EncodeToString(s.data)
	}
	return c
}

func fields(f evidence.Finding) []string {
	var out []string
	for _, d := range f.Differences {
		out = append(out, d.Field)
	}
	return out
}

func wantFinding(t *testing.T, name string, f evidence.Finding, status evidence.Status, code evidence.Code, differ ...string) {
	t.Helper()
	if f.Status != status || f.Code != code || !slices.Equal(fields(f), differ) {
		t.Errorf("%s: %s %s %v (%s), want %s %s %v", name, f.Status, f.Code, f.Differences, f.Reason, status, code, differ)
	}
	if (f.Status == evidence.Verified) != (f.Reason == "") {
		t.Errorf("%s: %s with reason %q", name, f.Status, f.Reason)
	}
	for _, field := range differ {
		if !strings.Contains(f.Reason, field) {
			t.Errorf("%s: reason %q does not name %s", name, f.Reason, field)
		}
	}
}

func TestCheckVerifies(t *testing.T) {
	f := evidence.Check(erc20(t))
	wantFinding(t, "token", f, evidence.Verified, "")
	if got, want := *f.Decoded.Transfer, (evidence.Transfer{Asset: evidence.AssetERC20, Contract: token, To: alice, Amount: "1500000000"}); got != want {
		t.Errorf("token: transfer %+v, want %+v", got, want)
	}
	f = evidence.Check(native(t))
	wantFinding(t, "native", f, evidence.Verified, "")
	if got, want := *f.Decoded.Transfer, (evidence.Transfer{Asset: evidence.AssetNative, To: alice, Amount: "1000000000000000000"}); got != want {
		t.Errorf("native: transfer %+v, want %+v", got, want)
	}
	for _, name := range []string{"legacy-eip155-native", "eip2930-access-list", "eip1559-access-list"} {
		wantFinding(t, name, evidence.Check(claimOf(t, specs()[name])), evidence.Verified, "")
	}

	c := erc20(t) // the least that a claim may say, in other spellings
	c.From, c.GasPrice, c.GasLimit, c.Fee, c.InputData = "", nil, nil, nil, ""
	c.To, c.Asset.Contract = strings.ToLower(c.To), strings.ToLower(c.Asset.Contract)
	c.Message, c.RawTx = strings.ToUpper(c.Message), strings.TrimPrefix(c.RawTx, "0x")
	wantFinding(t, "least", evidence.Check(c), evidence.Verified, "")
	c.From, c.Signer = alice, ""
	wantFinding(t, "signer not known", evidence.Check(c), evidence.Verified, "")
	n := native(t)
	n.InputData = "0x"
	wantFinding(t, "no calldata, said so", evidence.Check(n), evidence.Verified, "")
}

// mutations change one field of a claim each; the key is the name under which the difference must be reported.
var mutations = map[string]func(*evidence.Claim){
	"from":     func(c *evidence.Claim) { c.From = alice },
	"message":  func(c *evidence.Claim) { c.Message = strings.Repeat("11", 32) },
	"chainId":  func(c *evidence.Claim) { c.ChainID = big.NewInt(56) },
	"gasPrice": func(c *evidence.Claim) { c.GasPrice = new(big.Int).Add(c.GasPrice, big.NewInt(1)) },
	"gasLimit": func(c *evidence.Claim) { c.GasLimit = new(big.Int).Sub(c.GasLimit, big.NewInt(1)) },
	"fee":      func(c *evidence.Claim) { c.Fee = big.NewInt(0) },
	"inputdata": func(c *evidence.Claim) {
		c.InputData = "0x" + strings.Replace(transferData, "59682f00", "59682f01", 1)
	},
	"assetId": func(c *evidence.Claim) { c.Asset = evidence.Asset{Kind: evidence.AssetERC20, Contract: bob} },
	"to":      func(c *evidence.Claim) { c.To = bob },
	"amount":  func(c *evidence.Claim) { c.Amount = new(big.Int).Add(c.Amount, big.NewInt(1)) },
}

func TestCheckNamesEachDifference(t *testing.T) {
	for field, mutate := range mutations {
		for name, c := range map[string]evidence.Claim{"token": erc20(t), "native": native(t)} {
			mutate(&c)
			wantFinding(t, name+", "+field, evidence.Check(c), evidence.Mismatch, evidence.CodeDiffers, field)
		}
	}
	for name, c := range map[string]struct {
		mutate func(*evidence.Claim)
		field  string
	}{
		"no message":          {func(c *evidence.Claim) { c.Message = "" }, "message"},
		"message is no hex":   {func(c *evidence.Claim) { c.Message = "zz" }, "message"},
		"recipient misspelt":  {func(c *evidence.Claim) { c.To = strings.Replace(alice, "A", "a", 1) }, "to"},
		"recipient no hex":    {func(c *evidence.Claim) { c.To = "alice.eth" }, "to"},
		"calldata is no hex":  {func(c *evidence.Claim) { c.InputData = "0xa9" + "zz" }, "inputdata"},
		"calldata cut":        {func(c *evidence.Claim) { c.InputData = c.InputData[:20] }, "inputdata"},
		"contract not given":  {func(c *evidence.Claim) { c.Asset.Contract = "" }, "assetId"},
		"claimed to be coins": {func(c *evidence.Claim) { c.Asset = evidence.Asset{Kind: evidence.AssetNative} }, "assetId"},
	} {
		claim := erc20(t)
		c.mutate(&claim)
		wantFinding(t, name, evidence.Check(claim), evidence.Mismatch, evidence.CodeDiffers, c.field)
	}
}

func TestCheckFindsAllDifferences(t *testing.T) {
	c := erc20(t)
	for _, mutate := range mutations {
		mutate(&c)
	}
	wantFinding(t, "all", evidence.Check(c), evidence.Mismatch, evidence.CodeDiffers,
		"from", "message", "chainId", "gasPrice", "gasLimit", "fee", "inputdata", "assetId", "to", "amount")
}

// TestCheckOfOtherCalls is about transactions that are no plain transfer, each claimed as well as tx_info allows.
func TestCheckOfOtherCalls(t *testing.T) {
	base := specs()["eip1559-erc20-transfer"]
	with := func(selector string, prefix ...byte) txSpec {
		s := base
		s.data = slices.Concat(unhex(selector), prefix, unhex(transferData)[4:])
		return s
	}
	approve, transferFrom, unknown := with("095ea7b3"), with("23b872dd", make([]byte, 32)...), with("12345678")
	valued, dirty, coinOnly := base, base, base
	valued.value = big.NewInt(5)
	dirty.data = append(bytes.Clone(base.data), 0)
	coinOnly.data = nil
	asToken := func(s txSpec) evidence.Claim {
		c := claimOf(t, s)
		c.Asset, c.To, c.Amount = evidence.Asset{Kind: evidence.AssetERC20, Contract: token}, alice, big.NewInt(1500000000)
		return c
	}
	undeclared := func(c evidence.Claim) evidence.Claim {
		c.InputData = ""
		return c
	}
	const mismatch, differs = evidence.Mismatch, evidence.CodeDiffers
	for name, c := range map[string]struct {
		claim  evidence.Claim
		status evidence.Status
		code   evidence.Code
		differ []string
	}{
		"approve as token":          {asToken(approve), mismatch, differs, []string{"method"}},
		"approve as coin":           {claimOf(t, approve), evidence.Unverifiable, evidence.CodeNotTransfer, nil},
		"approve, undeclared":       {undeclared(claimOf(t, approve)), mismatch, differs, []string{"inputdata"}},
		"approve of another token":  {elsewhere(claimOf(t, approve)), mismatch, differs, []string{"to"}},
		"transferFrom as token":     {asToken(transferFrom), mismatch, differs, []string{"method"}},
		"transferFrom as coin":      {claimOf(t, transferFrom), mismatch, differs, []string{"assetId", "to", "amount"}},
		"transfer as coin":          {claimOf(t, base), mismatch, differs, []string{"assetId", "to", "amount"}},
		"transfer with coins":       {asToken(valued), mismatch, differs, []string{"value"}},
		"unknown method as token":   {asToken(unknown), evidence.Unverifiable, evidence.CodeUnknownCall, nil},
		"unknown method as coin":    {claimOf(t, unknown), evidence.Unverifiable, evidence.CodeUnknownCall, nil},
		"unknown, undeclared":       {undeclared(claimOf(t, unknown)), mismatch, differs, []string{"inputdata"}},
		"malformed transfer":        {asToken(dirty), evidence.Unverifiable, evidence.CodeUndecodable, nil},
		"coins claimed as token":    {asToken(coinOnly), mismatch, differs, []string{"assetId", "amount", "to"}},
		"creation":                  {claimOf(t, specs()["eip1559-contract-creation"]), evidence.Unverifiable, evidence.CodeCreation, nil},
		"creation as token":         {asToken(specs()["eip1559-contract-creation"]), mismatch, differs, []string{"to"}},
		"no replay protection":      {claimOf(t, specs()["legacy-unprotected"]), mismatch, differs, []string{"chainId"}},
		"set code":                  {claimOf(t, specs()["eip7702-set-code"]), evidence.Unverifiable, evidence.CodeDelegation, nil},
		"blob, fee without blobs'":  {claimOf(t, specs()["eip4844-blob"]), mismatch, differs, []string{"fee"}},
		"blob, calldata undeclared": {withoutFee(claimOf(t, specs()["eip4844-blob"])), evidence.Unverifiable, evidence.CodeBlobs, nil},
	} {
		f := evidence.Check(c.claim)
		slices.Sort(c.differ)
		slices.SortFunc(f.Differences, func(a, b evidence.Difference) int { return strings.Compare(a.Field, b.Field) })
		wantFinding(t, name, f, c.status, c.code, c.differ...)
	}
}

func elsewhere(c evidence.Claim) evidence.Claim {
	c.To = bob
	return c
}

func withoutFee(c evidence.Claim) evidence.Claim {
	c.Fee = nil
	return c
}

func TestCheckOfIncompleteClaims(t *testing.T) {
	for name, c := range map[string]struct {
		mutate func(*evidence.Claim)
		code   evidence.Code
	}{
		"another family":   {func(c *evidence.Claim) { c.Family = "solana" }, evidence.CodeChain},
		"no family":        {func(c *evidence.Claim) { c.Family = "" }, evidence.CodeChain},
		"no chain id":      {func(c *evidence.Claim) { c.ChainID = nil }, evidence.CodeChain},
		"unknown asset":    {func(c *evidence.Claim) { c.Asset = evidence.Asset{} }, evidence.CodeAsset},
		"another asset":    {func(c *evidence.Claim) { c.Asset.Kind = "erc777" }, evidence.CodeAsset},
		"no recipient":     {func(c *evidence.Claim) { c.To = "" }, evidence.CodeIncomplete},
		"no amount":        {func(c *evidence.Claim) { c.Amount = nil }, evidence.CodeIncomplete},
		"rawTx no hex":     {func(c *evidence.Claim) { c.RawTx = "zz" }, evidence.CodeUndecodable},
		"rawTx a digest":   {func(c *evidence.Claim) { c.RawTx = c.Message }, evidence.CodeUndecodable},
		"rawTx cut":        {func(c *evidence.Claim) { c.RawTx = c.RawTx[:40] }, evidence.CodeUndecodable},
		"rawTx of one 0x":  {func(c *evidence.Claim) { c.RawTx = "0x" }, evidence.CodeUndecodable},
		"several reasons":  {func(c *evidence.Claim) { c.To, c.ChainID, c.RawTx = "", nil, "" }, evidence.CodeChain},
		"nothing but rest": {func(c *evidence.Claim) { *c = evidence.Claim{} }, evidence.CodeChain},
	} {
		claim := erc20(t)
		c.mutate(&claim)
		wantFinding(t, name, evidence.Check(claim), evidence.Unverifiable, c.code)
	}
}

// TestCheckWithoutRawTx: nothing is verified, but calldata that contradicts the claim is found.
func TestCheckWithoutRawTx(t *testing.T) {
	approve := "0x095ea7b3" + transferData[8:]
	const unverifiable, mismatch = evidence.Unverifiable, evidence.Mismatch
	for name, c := range map[string]struct {
		mutate func(*evidence.Claim)
		status evidence.Status
		code   evidence.Code
		differ []string
	}{
		"consistent":        {func(*evidence.Claim) {}, unverifiable, evidence.CodeNoRawTx, nil},
		"no calldata":       {func(c *evidence.Claim) { c.InputData = "" }, unverifiable, evidence.CodeNoRawTx, nil},
		"empty calldata":    {func(c *evidence.Claim) { c.InputData = "0x" }, unverifiable, evidence.CodeNoRawTx, nil},
		"another recipient": {mutations["to"], mismatch, evidence.CodeDiffers, []string{"to"}},
		"another amount":    {mutations["amount"], mismatch, evidence.CodeDiffers, []string{"amount"}},
		"another sender":    {mutations["from"], mismatch, evidence.CodeDiffers, []string{"from"}},
		"approve":           {func(c *evidence.Claim) { c.InputData = approve }, mismatch, evidence.CodeDiffers, []string{"method"}},
		"claimed as coins": {func(c *evidence.Claim) { c.Asset = evidence.Asset{Kind: evidence.AssetNative} },
			mismatch, evidence.CodeDiffers, []string{"assetId"}},
		"approve as coins": {func(c *evidence.Claim) { c.Asset, c.InputData = evidence.Asset{Kind: evidence.AssetNative}, approve },
			unverifiable, evidence.CodeNotTransfer, nil},
		"unknown call":   {func(c *evidence.Claim) { c.InputData = "0x12345678" }, unverifiable, evidence.CodeUnknownCall, nil},
		"malformed call": {func(c *evidence.Claim) { c.InputData += "00" }, unverifiable, evidence.CodeUndecodable, nil},
		"no hex":         {func(c *evidence.Claim) { c.InputData = "0x1" }, unverifiable, evidence.CodeUndecodable, nil},
		"unknown asset":  {func(c *evidence.Claim) { c.Asset = evidence.Asset{} }, unverifiable, evidence.CodeAsset, nil},
	} {
		claim := erc20(t)
		claim.RawTx = ""
		c.mutate(&claim)
		wantFinding(t, name, evidence.Check(claim), c.status, c.code, c.differ...)
		claim.RawTx = "0xc0" // a transaction that does not decode hides no contradiction either
		if f := evidence.Check(claim); f.Status != c.status || !slices.Equal(fields(f), c.differ) {
			t.Errorf("%s, broken rawTx: %s %v", name, f.Status, f.Differences)
		}
	}
}

// TestCheckProperty draws transfers of all kinds: an honest claim is verified, one with a changed field names it.
func TestCheckProperty(t *testing.T) {
	names := make([]string, 0, len(mutations))
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(rt *rapid.T) {
		s := genSpec().Draw(rt, "tx")
		s.kind, s.protected, s.data = s.kind%3, true, nil
		to, contract := genAddress().Draw(rt, "recipient"), genAddress().Draw(rt, "contract")
		s.to = &to
		if to == *address(bob) || contract == *address(bob) || s.chainID.Int64() == 56 || s.gas == 0 || s.price.Sign() == 0 {
			rt.Skip("a mutation would not change it")
		}
		c := claimOf(t, s)
		if rapid.Bool().Draw(rt, "token") {
			amount := genAmount().Draw(rt, "amount")
			s.to, s.value = &contract, new(big.Int)
			s.data = pack(t, &erc20Call{Method: evidence.MethodTransfer, To: to, Amount: amount})
			c = claimOf(t, s)
			c.Asset, c.To, c.Amount = evidence.Asset{Kind: evidence.AssetERC20, Contract: contract.Hex()}, to.Hex(), amount
		}
		if f := evidence.Check(c); f.Status != evidence.Verified {
			rt.Fatalf("honest claim: %+v", f)
		}
		field := rapid.SampledFrom(names).Draw(rt, "field")
		mutations[field](&c)
		if f := evidence.Check(c); f.Status != evidence.Mismatch || !slices.Equal(fields(f), []string{field}) {
			rt.Fatalf("%s changed: %+v", field, f)
		}
	})
}

// TestFindingSerialises: amounts are strings, and nothing that a policy reads gets lost on the way.
func TestFindingSerialises(t *testing.T) {
	c := erc20(t)
	mutations["to"](&c)
	raw := mustT(json.Marshal(evidence.Check(c)))(t)
	for _, want := range []string{
		`"status":"mismatch","code":"differs","reason":"what is signed is not what is claimed: to"`,
		`"differences":[{"field":"to","claimed":"` + bob + `","signed":"` + alice + `"}]`,
		`"kind":"evm-transaction"`, `"chain_id":"1"`, `"nonce":"7"`, `"max_fee_per_gas":"21000000000"`,
		`"transfer":{"asset":"erc20","contract":"` + token + `","to":"` + alice + `","amount":"1500000000"}`,
		`"call":{"method":"transfer(address,uint256)","selector":"0xa9059cbb","contract":"` + token + `","to":"` + alice + `","amount":"1500000000"}`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	var again evidence.Finding
	if err := json.Unmarshal(raw, &again); err != nil || !bytes.Equal(mustT(json.Marshal(again))(t), raw) {
		t.Errorf("does not read back: %v", err)
	}
}

func TestFindingIsBounded(t *testing.T) {
	c := erc20(t)
	c.To, c.Message = strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)
	if raw := mustT(json.Marshal(evidence.Check(c)))(t); len(raw) > 4096 {
		t.Errorf("a finding of %d bytes", len(raw))
	}
}

func FuzzCheck(f *testing.F) {
	c := erc20(f)
	f.Add(c.To, c.InputData, c.Message, c.RawTx, c.Asset.Contract, true)
	f.Add("", "", "", "", "", false)
	for _, v := range readVectors(f) {
		f.Add(bob, "0x"+transferData, v.Digest, v.RawTx, token, false)
	}
	f.Fuzz(func(t *testing.T, to, data, message, raw, contract string, isToken bool) {
		claim := evidence.Claim{Family: evidence.FamilyEVM, ChainID: big.NewInt(1), Asset: evidence.Asset{Kind: evidence.AssetNative},
			To: to, Amount: big.NewInt(1), InputData: data, Message: message, RawTx: raw}
		if isToken {
			claim.Asset = evidence.Asset{Kind: evidence.AssetERC20, Contract: contract}
		}
		finding := evidence.Check(claim)
		if finding.Status != evidence.Verified {
			return
		}
		digest := crypto.Keccak256(unhex(strings.TrimPrefix(raw, "0x")))
		if !strings.EqualFold(strings.TrimPrefix(message, "0x"), hex.EncodeToString(digest)) {
			t.Fatal("verified with a digest that is not the transaction's")
		}
		if tr := finding.Decoded.Transfer; tr == nil || tr.Amount != "1" || !strings.EqualFold(tr.To, to) {
			t.Fatalf("verified, but the transfer is %+v", tr)
		}
	})
}
