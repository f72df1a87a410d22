package countersign.transaction_test

import data.countersign.fixtures as f
import data.countersign.rules.transaction

says(request) := got if {
	got := {"allow": f.ids(transaction.allow), "reject": f.ids(transaction.reject)} with input as request
		with data.chains as f.chains
}

test_exact_transaction_is_allowed if says(f.transfer(1)) == {"allow": {"tx.invalid"}, "reject": set()}

test_unknown_asset_is_rejected if {
	problem := {"rule": "asset.unknown", "field": "assetId", "message": "FOO is not known"}
	says(f.patch(f.transfer(1), "/tx/problems", [problem])) == {"allow": set(), "reject": {"asset.unknown"}}
}

test_malformed_amount_is_rejected if {
	problem := {"rule": "tx.invalid", "field": "amount", "message": "no number"}
	says(f.patch(f.transfer(1), "/tx/problems", [problem])) == {"allow": set(), "reject": {"tx.invalid"}}
}

# A problem under a rule that nobody knows rejects all the same.
test_unknown_problem_is_rejected if {
	problem := {"rule": "new.problem", "field": "amount", "message": "something"}
	says(f.patch(f.transfer(1), "/tx/problems", [problem])).reject == {"tx.invalid"}
}

test_asset_that_data_does_not_know_is_not_allowed if {
	says(f.patch(f.transfer(1), "/tx/asset", "FOO")).allow == set()
	says(f.patch(f.transfer(1), "/tx/chain", "FOO")).allow == set()
}

test_absent_recipient_is_not_allowed if says(f.patch(f.transfer(1), "/tx/to", "")).allow == set()

test_amount_that_is_no_number_is_not_allowed if {
	every amount in ["1", null, true, {}] {
		says(f.transfer(amount)).allow == set()
	}
}

# Nobody knows whether tokens move that are not in the input.
test_absent_tokens_are_not_allowed if {
	every list in ["brc20", "runes"] {
		says(f.patch(f.transfer(1), sprintf("/%s", [list]), null)).allow == set()
	}
}

test_problems_of_tokens_are_judged_by_their_rules if {
	problem := {"rule": "runes.invalid", "field": "runeDetails[0].runeId", "message": "no id"}
	says(f.patch(f.transfer(1), "/tx/problems", [problem])) == {"allow": set(), "reject": set()}
}
