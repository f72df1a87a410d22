package countersign.wallets_test

import data.countersign.fixtures as f
import data.countersign.rules.wallets

list := {"ids": {"7": true, "8": true}, "keys": {f.key: {"paths": {"m/44/60/0/0/0": "7", "m": "7"}, "under": {"m/1": "7", "m/2/3": "8"}}}}

none := {"ids": {}, "keys": {}}

request(wallet, path) := object.union(f.transfer(1), {
	"tx": {"wallet_id": wallet, "vault_id": ""},
	"request": {"path": path},
})

says(asked, unbound) := got if {
	got := f.ids(wallets.reject) with input as asked
		with data.wallets as list
		with data.vaults as none
		with data.unbound_wallets as unbound
}

rejected := {"wallet.bound"}

test_its_own_paths_are_a_wallets if {
	every path in ["m/44/60/0/0/0", "m", "", "m/1/5", "m/1/5/6"] {
		says(request("7", path), false) == set()
	}
	says(request("8", "m/2/3/9"), false) == set()
}

test_a_wallet_that_has_another_path_is_rejected if {
	every path in ["m/2/3/9", "m/44/60/0/0/1", "m/1", "m/2/3", "m/11/1", "m/44/60/0/0/00"] {
		says(request("7", path), false) == rejected
		says(request("7", path), true) == rejected
	}
}

test_a_wallet_with_another_key_is_rejected if {
	says(f.patch(request("7", "m"), "/request/public_key", "02ff"), true) == rejected
}

test_a_path_of_another_is_rejected if {
	every claim in ["8", "9", ""] {
		says(request(claim, "m/1/5"), true) == rejected
	}
}

test_a_wallet_that_is_not_bound_is_rejected_where_others_are if {
	says(request("9", "m/5"), false) == rejected
	says(request("9", "m/5"), true) == set()
	says(request("", "m/5"), false) == set()
}

test_a_vault_is_held_to_its_own if {
	asked := object.union(request("", "m/1/5"), {"tx": {"vault_id": "8"}})
	rejected == f.ids(wallets.reject) with input as asked
		with data.wallets as none
		with data.vaults as list
		with data.unbound_wallets as false
}

test_without_bindings_nothing_is_held_to_them if {
	set() == wallets.reject with input as request("7", "m/5")
		with data.wallets as none
		with data.vaults as none
		with data.unbound_wallets as false
}

test_only_transactions_name_a_wallet if {
	says(f.message({}), false) == set()
	says(f.keygen, false) == set()
}
