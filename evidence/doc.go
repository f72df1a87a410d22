// Package evidence says what is really being signed. It decodes the unsigned transaction or message behind a digest,
// computes the digest with the same functions that the node signs by, and compares what is signed with what the
// request claims: Check and CheckMessage for the callback server, SigningDigest for the node. It knows EVM transactions and
// calldata, EIP-191 and EIP-712 messages, and Bitcoin transactions as PSBTs, with runestones and BRC-20 inscriptions.
//
// It decides nothing: a Finding is a fact for the policy, and it is Verified only if nothing is left open. It converts
// no units (amounts are integers in base units), knows no asset list, and asks no network. Decoding is left to
// go-ethereum's and btcd's own decoders, so that what they say is what the chain will say; this is the only package that
// imports them. All functions are pure and safe for concurrent use.
package evidence
