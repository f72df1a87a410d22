// Package wire is the callback protocol between an MPC node and a callback server: the request and response types, their
// canonical JSON, the P-256 signatures around them, node ids, key files and the closed list of error codes.
//
// A node makes a request with SealCheck and reads the answer with OpenReply. A server reads a request with OpenRequest
// and answers with Reply or ErrorReply. Both sides parse strictly: what could be read in two ways is refused.
//
// The package does no I/O beyond reading key files, keeps no state, and judges nothing: whether a well-formed request
// may be signed is for the policy. Everything here is safe for concurrent use, as long as nobody changes an argument
// while it is in use.
package wire
