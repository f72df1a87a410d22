package countersign.main_test

import data.countersign

test_room if count(countersign.allow) == 1 with input as {"windows": {"few": {"after": 1}}} with data.windows as {"few": {"max_base": 1}}

test_full if count(countersign.reject) == 1 with input as {"windows": {"few": {"after": 2}}} with data.windows as {"few": {"max_base": 1}}
