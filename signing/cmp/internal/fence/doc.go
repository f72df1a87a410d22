// Package fence runs one session of the CMP library behind the signing.Session interface and owes what the library
// does not give:
//
//   - Messages of later rounds wait here, not in the library: it would check their proofs before it compares the
//     sender's view of earlier broadcasts, and so blame a party for what a third one told it.
//   - A message goes in only if it decodes by package frame, is of this session (SSID), and its sender's echo (the hash
//     of the round before) equals ours.
//   - The library's Stop is never called; its abort messages (round 0) are neither sent nor accepted; its channel is
//     drained after every call, which advances by one round at most, so that it never blocks.
//   - Every call is under recover. A panic ends the session and blames nobody: Accept computes over stored data of all.
//   - A channel that was closed without a result, an error that the library blames on itself, and any other end are an
//     abort; after it the library is not called again, because it closes its channel twice.
//
// It does not know what the library computes; package cmp starts it and turns its result into a share or a signature.
package fence
