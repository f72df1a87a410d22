package signing

import (
	"errors"
	"fmt"
)

// MaxParties is the largest number of parties of a key, and so the largest PartyID.
const MaxParties = 9

// MaxFrame bounds Message.Data, in bytes. The largest frame that a protocol here makes is about 90 kB.
const MaxFrame = 256 << 10

// PartyID is a party of a key: 1..9, its share's index and x coordinate in every protocol. 0 is nobody.
type PartyID byte

// String returns "party 3".
func (p PartyID) String() string { return fmt.Sprintf("party %d", byte(p)) }

// Message is one protocol message. The transport that carries it must authenticate From and bind every field but
// ReleasesShare, which stays with the sender.
type Message struct {
	From, To  PartyID // To is 0 for a broadcast
	Round     uint16  // the round that the message belongs to, as the protocol counts (CMP: 2..5)
	Broadcast bool    // every other party must be sent the same bytes, signed by the sender
	// ReleasesShare is set on outgoing messages that let the others finish: the last that depend on the share. The
	// caller makes "share-released" durable before it sends one.
	ReleasesShare bool
	Data          []byte // a frame (docs/FORMATS.md, signing), at most MaxFrame bytes
}

// Session is one run of one protocol by one party. One goroutine owns it: no method is safe for concurrent use. Accept
// may compute for seconds.
type Session interface {
	// Accept feeds one authenticated message. Messages may come in any order and more than once; a repeated one is
	// dropped. An *Abort ends the session, and every later call returns it again. An error that wraps ErrMisdelivered
	// leaves the session as it was.
	Accept(Message) error
	// Outgoing drains the messages to send, in the order in which they must be handed to the transport. It is empty
	// after an abort. After Done it may hold the last messages, which the other parties need to finish.
	Outgoing() []Message
	// Done reports whether this party is through: the result is there, or the signature is for another and its own last
	// message is made. It is false after an abort.
	Done() bool
}

// KeygenSession is a session that makes a share.
type KeygenSession interface {
	Session
	// Share returns this party's share of the new key. It fails until Done; after an abort the error is the *Abort.
	Share() (*Share, error)
}

// SignSession is a session that makes a signature.
type SignSession interface {
	Session
	// Signature returns the signature, verified against the key that was asked for. It fails until Done; after an
	// abort the error is the *Abort. Where the signature is for one recipient, the session of every other signer is
	// Done when its last message is made, and the error wraps ErrForRecipient.
	Signature() (Signature, error)
}

// Signature is a finished signature.
type Signature struct {
	// Bytes are, for ECDSA, r ‖ s, big-endian, s in its low half (BIP 146, EIP-2); for Schnorr R.x ‖ s (BIP340); for
	// Ed25519 R ‖ s (RFC 8032).
	Bytes      [64]byte
	RecoveryID byte // ECDSA: 0..3, the parity of the nonce point's y, plus 2 where its x was reduced
}

// ErrMisdelivered is wrapped by Accept for a message that cannot belong to the session: from nobody of it, or for
// somebody else. The transport should have kept it away; nobody of the session is to blame.
var ErrMisdelivered = errors.New("message was not meant for this session")

// ErrUnfinished is wrapped where a result is asked for that is not there yet.
var ErrUnfinished = errors.New("session has no result yet")

// ErrForRecipient is wrapped by SignSession.Signature of a signer that has made its share for the recipient of the
// signature: it learns neither the signature nor whether there is one.
var ErrForRecipient = errors.New("the signature is for its recipient only: this party has made its share and learns no more")

// Abort is the failed end of a session. The honest parties lose nothing by it: another session may follow.
type Abort struct {
	// Culprit is the party whose own message proves that it broke the protocol; 0 if that cannot be known. It is
	// proof to this party only.
	Culprit PartyID
	Round   uint16 // the round at which it ended
	Reason  string // what was wrong, for people; holds no secret
	Err     error  // the cause, if there is one
}

// Error says where, why and by whom.
func (a *Abort) Error() string {
	blame := "nobody can be named"
	if a.Culprit != 0 {
		blame = a.Culprit.String() + " is to blame"
	}
	text := fmt.Sprintf("session aborted in round %d: %s (%s)", a.Round, a.Reason, blame)
	if a.Err != nil {
		text += ": " + a.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (a *Abort) Unwrap() error { return a.Err }
