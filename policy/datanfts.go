package policy

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/countersign-mpc/countersign/evidence"
)

// fileNFT is a contract whose tokens, each with an id, a call may move.
type fileNFT struct {
	Kind       string      `json:"kind"` // erc721 or erc1155
	Name       string      `json:"name"`
	Recipients addressList `json:"recipients"` // address -> whose it is
	AnyID      bool        `json:"any_id"`
	IDs        []string    `json:"ids"` // decimal
	Max        string      `json:"max"` // erc1155: the most of one id that one movement may move
}

// nfts are indexed by the contract's canonical address.
func (c *compiler) nfts() map[string]any {
	return perChain(c, FamilyEVM, "nfts", c.file.NFTs, func(at []string, chain Chain, files map[string]fileNFT) map[string]any {
		out, kinds := make(map[string]any, len(files)), make(map[string]string, len(files))
		for _, address := range sortedKeys(files) {
			at := under(at, address)
			canonical, ok := onceAmong(c, at, chain, address, out)
			if !ok {
				continue
			}
			for _, id := range sortedKeys(chain.Assets) {
				if chain.Assets[id].Contract == canonical {
					c.add(at, "is the contract of asset %s of /chains/%s/assets, whose tokens have no ids", id, chain.Symbol)
				}
			}
			out[canonical], kinds[canonical] = c.nft(at, chain, files[address]), files[address].Kind
		}
		c.data.nfts[chain.Symbol] = kinds
		return out
	})
}

func (c *compiler) nft(at []string, chain Chain, f fileNFT) map[string]any {
	most := json.Number("1")
	switch {
	case f.Kind != string(evidence.AssetERC721) && f.Kind != string(evidence.AssetERC1155):
		c.add(under(at, "kind"), "is %q, not %s or %s", f.Kind, evidence.AssetERC721, evidence.AssetERC1155)
	case f.Kind == string(evidence.AssetERC1155):
		most = c.whole(under(at, "max"), f.Max)
	case f.Max != "":
		c.add(under(at, "max"), "belongs to %s: of %s there is one of each id", evidence.AssetERC1155, evidence.AssetERC721)
	}
	if len(f.Recipients) == 0 {
		c.add(under(at, "recipients"), "is empty: name the addresses that may get tokens of it")
	}
	if f.AnyID == (len(f.IDs) > 0) {
		c.add(at, "needs one of \"ids\" (which tokens) and \"any_id\": true")
	}
	ids := make(map[string]bool, len(f.IDs))
	for i, id := range f.IDs {
		if n, ok := new(big.Int).SetString(id, 10); !ok || n.Sign() < 0 || n.BitLen() > 256 || n.String() != id {
			c.add(under(at, "ids", fmt.Sprint(i)), "%q is no token id: a decimal below 2^256 without leading zeros is, as a string", clip(id))
		}
		ids[id] = true
	}
	return map[string]any{
		"kind": f.Kind, "name": f.Name, "recipients": c.addressList(under(at, "recipients"), chain, f.Recipients), "any_id": f.AnyID, "ids": ids, "max_base": most,
	}
}

// moved makes a movement exact: what ERC-20 and ERC-721 call alike is a token with an id where data.json nfts says so.
func (d *Data) moved(chain string, m evidence.Movement, address func(string) string) CallMove {
	out := CallMove{Kind: string(m.Asset), Contract: address(m.Contract), To: address(m.To), TokenID: m.TokenID, AmountBase: exactBase(m.Amount)}
	if m.Asset == evidence.AssetToken && d.nfts[chain][out.Contract] == string(evidence.AssetERC721) {
		out.Kind, out.TokenID, out.AmountBase = string(evidence.AssetERC721), m.AmountOrID, "1"
	}
	return out
}
