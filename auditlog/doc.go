// Package auditlog keeps an append-only Merkle log: entries, the tree over them, signed checkpoints and proofs.
//
// The tree is that of RFC 6962, section 2.1; hashing and proofs are those of golang.org/x/mod/sumdb/tlog, checkpoints are
// signed notes in the form of c2sp.org/tlog-checkpoint, inclusion proofs files in the form of c2sp.org/tlog-proof, and
// consistency proofs have the form in which a c2sp.org/tlog-witness takes them. Tools for those formats can check them;
// so do [CheckInclusion] and [CheckConsistency], offline, with nothing but the log's public key.
//
// A [Log] holds no entries: it is given an entry's bytes once, keeps its hashes beside a reference under which its owner
// finds the entry again, and writes both through a [Storage] that stands for a transaction of the owner. So an entry is
// in the tree if and only if the transaction that recorded it was committed, and there is no state in which one is
// durable without the other.
//
// What the log proves: whoever holds a checkpoint can tell that no entry below it was changed, moved or taken out since.
// It does not prove what nobody outside has seen: who owns both the file and the signing key can write another history,
// which is why checkpoints belong with a witness on another machine. It does not know what entries mean.
package auditlog
