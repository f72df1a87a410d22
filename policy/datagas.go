package policy

import "encoding/json"

// fileGas is what the transactions of an EVM chain may cost. What is left out is not capped.
type fileGas struct {
	MaxGasPriceWei string `json:"max_gas_price_wei"`
	MaxGasLimit    string `json:"max_gas_limit"`
	MaxFee         string `json:"max_fee"` // in coins
	MaxFeePerMille *int   `json:"max_fee_per_mille"`
}

// gas writes the caps under the names that the numbers have in input.tx.gas.
func (c *compiler) gas() map[string]any {
	return perChain(c, FamilyEVM, "gas", c.file.Gas, func(at []string, chain Chain, f fileGas) map[string]any {
		if f.MaxFee == "" && (f.MaxGasPriceWei == "" || f.MaxGasLimit == "") {
			c.add(at, "has no bound for the fee: give max_fee, or both max_gas_price_wei and max_gas_limit")
		}
		limits := map[string]any{}
		if f.MaxGasPriceWei != "" {
			limits["price_base"] = gasCap(f.MaxGasPriceWei+" wei", c.whole(under(at, "max_gas_price_wei"), f.MaxGasPriceWei))
		}
		if f.MaxGasLimit != "" {
			limits["limit"] = gasCap(f.MaxGasLimit, c.whole(under(at, "max_gas_limit"), f.MaxGasLimit))
		}
		if (f.MaxFee != "" || f.MaxFeePerMille != nil) && chain.Native == "" {
			c.add(at, "limits fees, but /chains/%s/assets has no native asset", chain.Symbol)
		} else if f.MaxFee != "" {
			limits["fee_base"] = gasCap(f.MaxFee+" "+chain.Native, c.coins(under(at, "max_fee"), chain.Assets[chain.Native], f.MaxFee))
		}
		entry := map[string]any{"max": limits}
		c.feeShare(at, entry, f.MaxFeePerMille)
		return entry
	})
}

func gasCap(written string, base json.Number) map[string]any {
	return map[string]any{"written": written, "base": base}
}

// whole reads a whole number that stands in a string, since JSON's numbers are not exact everywhere.
func (c *compiler) whole(at []string, text string) json.Number {
	n, err := baseUnits(text, UnitBase, 0)
	if err != nil {
		c.add(at, "%v: write a whole number as a string, such as \"20\"", err)
	}
	return n
}
