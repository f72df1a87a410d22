// Package prop tries properties of a policy on generated requests: "nothing above 1000 USDT is ever approved for an address
// that is not listed" is a line of JSON, and what speaks against it is found and shown as a request that anybody can try
// again.
//
// Requests are generated around every threshold that the policy's data and the literals of its modules name, and around the
// bounds of the property itself: the value, one less and one more; listed, own and denied addresses and their neighbours by
// one digit; the edges of hours; windows that are nearly full. They are whole bodies as a node sends them, with transactions
// that really say what is claimed (or, on purpose, do not), and are judged by the same code as live ones: [Judge] is given.
// The first differ from good ones in one field alone, each of its values in turn. Then the search climbs: from requests to
// which the fewest rules object to those to which none does.
//
// Nothing that is found is a proof: a property that holds has held for the requests that were tried. The same seed, policy
// and properties give the same requests. The package reads no file, prints nothing and imports no OPA. docs/POLICY.md,
// "Properties", is the reference of the language.
package prop
