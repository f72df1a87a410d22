// Package bundle holds a policy in one file: an OPA bundle (.tar.gz) of Rego modules, data.json and a manifest with a number that
// rises, signed or not. What stock opa builds and signs is read here, and what is written here stock opa loads and verifies.
//
// [Read] takes the bytes of a file and gives a policy's source, nothing of which is checked yet but who signed it; package
// policy compiles and tests it. The bytes come from outside: their size unpacked, their number of files and the names in
// them are bounded, and whatever is no regular file of a policy is refused. OPA by itself loads a signed bundle without
// verifying it where no key is configured, and takes an older one for a newer: here the keys are given to Read, and a [Floor]
// remembers the newest bundle that was accepted.
//
// docs/FORMATS.md, "policy bundle", describes the format.
package bundle
