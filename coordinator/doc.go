// Package coordinator brings the parties of a session together: it takes requests for keys and signatures, offers them to
// the nodes that hold the shares, lets a session begin once every party of it holds an Approve reply, routes the sealed
// messages between the parties, checks what they report against each other, and verifies every finished signature itself. One
// that is for a recipient alone it gets as ciphertext only, signed by that party.
//
// It holds no share and cannot read a protocol message. It is not trusted by the nodes: whatever it says, a node signs only
// what its own callback approved. Accounts beyond a name, approval workflows and the HTTP surface are elsewhere
// (mpcapi); the WebSocket that nodes dial is package coordinator/link.
//
// Every change of state is one transaction of a Store, durable before anything that follows from it leaves. Nothing but the
// live connections is kept in memory, so a restart loses nothing and sessions in progress go on.
package coordinator
