package fence

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/party"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
)

// Library is what is used of the library's protocol.MultiHandler.
type Library interface {
	// Accept verifies a message and, if it was the last that was missing, computes the next round.
	Accept(*protocol.Message)
	// Listen returns the channel of outgoing messages; the library closes it when it ends.
	Listen() <-chan *protocol.Message
	// Result returns the result, a protocol.Error after an abort, or another error while there is neither.
	Result() (any, error)
}

// Config describes a session.
type Config struct {
	Protocol     frame.Protocol
	Threshold    int               // t, the number of signers needed: the templates depend on it
	Self         signing.PartyID   // this party
	Parties      []signing.PartyID // all parties of the session, this one included
	ReleaseRound uint16            // messages of this round, the last, release the share; 0: none does
	// Recipient is the one party that learns the result: the library's broadcast of ReleaseRound goes to it alone, and
	// the session of every other party is done, without a result, when it has made that message. 0: all learn it.
	Recipient signing.PartyID
	// Start starts the library; it may compute and may panic.
	Start func() (Library, error)
	// Finish checks the library's result and takes what it needs of it. An error aborts the session.
	Finish func(result any) error
}

// Run is a session. It implements signing.Session; one goroutine owns it.
type Run struct {
	cfg     Config
	library Library            // nil once the session has ended
	ssid    []byte             // the library's id of the session
	name    string             // the library's name of the protocol
	round   uint16             // the round whose messages the library waits for
	echo    []byte             // our hash of the broadcasts of round-1
	seen    map[place][32]byte // SHA-256 of every frame that was taken, by place
	held    []received         // messages of rounds after round
	out     []signing.Message
	done    bool
	abort   *signing.Abort
}

// place is where a message belongs: every party has one message for us in it.
type place struct {
	from      signing.PartyID
	round     uint16
	broadcast bool
}

type received struct {
	place
	frame frame.Frame
}

var _ signing.Session = (*Run)(nil)

// New starts the library and makes its first messages ready.
func New(cfg Config) (*Run, error) {
	r := &Run{cfg: cfg, seen: map[place][32]byte{}}
	err := guard(func() (err error) {
		r.library, err = cfg.Start()
		return err
	})
	if err != nil {
		return nil, err
	}
	r.settle(0)
	if r.abort == nil && r.ssid == nil {
		r.fail(0, 1, "the library began without a message", nil)
	}
	if r.abort != nil {
		return nil, r.abort
	}
	return r, nil
}

// Outgoing implements signing.Session.
func (r *Run) Outgoing() []signing.Message {
	out := r.out
	r.out = nil
	return out
}

// Done implements signing.Session.
func (r *Run) Done() bool { return r.done }

// Released reports whether the session is done without a result: this party's last message is made, the recipient alone
// learns what comes of it.
func (r *Run) Released() bool { return r.done && !r.hasResult() }

// hasResult reports whether this party is one of those that learn the result.
func (r *Run) hasResult() bool { return r.cfg.Recipient == 0 || r.cfg.Recipient == r.cfg.Self }

// Unfinished returns the abort, signing.ErrUnfinished, or nil once the session is done.
func (r *Run) Unfinished() error {
	switch {
	case r.abort != nil:
		return r.abort
	case !r.done:
		return signing.ErrUnfinished
	}
	return nil
}

// Accept implements signing.Session.
func (r *Run) Accept(m signing.Message) error {
	if r.abort != nil {
		return r.abort
	}
	if err := r.checkDelivery(m); err != nil {
		return err
	}
	if r.done { // every message that the result needed was there; what comes now cannot change it
		return nil
	}
	in, isNew := r.take(m)
	if isNew {
		r.held = append(r.held, in)
		r.feed()
	}
	if r.abort != nil {
		return r.abort
	}
	return nil
}

// checkDelivery finds messages that the transport should have kept away.
func (r *Run) checkDelivery(m signing.Message) error {
	switch {
	case m.From == r.cfg.Self || !slices.Contains(r.cfg.Parties, m.From):
		return fmt.Errorf("%w: it is from %s", signing.ErrMisdelivered, m.From)
	case m.Broadcast && m.To != 0, !m.Broadcast && m.To != r.cfg.Self:
		return fmt.Errorf("%w: it is for %s (broadcast %t)", signing.ErrMisdelivered, m.To, m.Broadcast)
	}
	return nil
}

// take decodes a message and says whether it is new. What is wrong with it aborts the session: with a culprit where
// the sender's bytes alone prove it.
func (r *Run) take(m signing.Message) (received, bool) {
	sum := sha256.Sum256(m.Data)
	in := received{place: place{m.From, m.Round, m.Broadcast}}
	if earlier, ok := r.seen[in.place]; ok {
		if earlier != sum {
			r.fail(m.From, m.Round, "the party sent two different messages for one place", nil)
		}
		return in, false
	}
	f, err := frame.Decode(m.Data, r.cfg.Threshold)
	if err == nil {
		err = r.checkEnvelope(m, f)
	}
	if err != nil {
		r.fail(m.From, m.Round, "a message is malformed", err)
		return in, false
	}
	if string(f.SSID[:]) != string(r.ssid) {
		// Another binding, key, epoch, tweak or digest, here or there: it cannot be told whose is right.
		r.fail(0, m.Round, fmt.Sprintf("a message of %s belongs to another session, key, signer set or digest", m.From), nil)
		return in, false
	}
	if err := r.checkReceivers(f); err != nil { // the SSID covers the recipient: the sender knew better
		r.fail(m.From, m.Round, "a message has other receivers than it must have", err)
		return in, false
	}
	r.seen[in.place] = sum
	in.frame = f
	return in, true
}

// checkEnvelope compares the frame with what the transport says about the message.
func (r *Run) checkEnvelope(m signing.Message, f frame.Frame) error {
	if f.Protocol != r.cfg.Protocol || f.Round != m.Round || f.Broadcast != m.Broadcast {
		return fmt.Errorf("the frame is of %s round %d (broadcast %t), the message of %s round %d (broadcast %t)",
			f.Protocol, f.Round, f.Broadcast, r.cfg.Protocol, m.Round, m.Broadcast)
	}
	return nil
}

// checkReceivers compares the form of the last message with whom the result is for.
func (r *Run) checkReceivers(f frame.Frame) error {
	if r.cfg.ReleaseRound == 0 || f.Round != r.cfg.ReleaseRound {
		return nil
	}
	switch {
	case r.cfg.Recipient == 0 && !f.Broadcast:
		return fmt.Errorf("the message of round %d is for us alone, where the result is for all", f.Round)
	case r.cfg.Recipient != 0 && f.Broadcast:
		return fmt.Errorf("the message of round %d is a broadcast, where the result is for %s alone", f.Round, r.cfg.Recipient)
	case !r.hasResult():
		return fmt.Errorf("the message of round %d is for us, where the result is for %s alone", f.Round, r.cfg.Recipient)
	}
	return nil
}

// feed hands the library what is there for its round, and goes on while that completes rounds.
func (r *Run) feed() {
	for r.abort == nil && !r.done {
		i := slices.IndexFunc(r.held, func(in received) bool { return in.round == r.round })
		if i < 0 {
			return
		}
		in := r.held[i]
		r.held = slices.Delete(r.held, i, i+1)
		if string(in.frame.Echo) != string(r.echo) {
			r.fail(0, in.round, fmt.Sprintf("%s was told other broadcasts in the round before than we were", in.from), nil)
			return
		}
		err := guard(func() error {
			r.library.Accept(r.toLibrary(in))
			return nil
		})
		if err != nil {
			r.fail(0, in.round, "the library failed", err)
			return
		}
		r.settle(in.from)
	}
}

// settle drains the library and looks whether it has ended. from is the party whose message was fed, 0 at the start.
func (r *Run) settle(from signing.PartyID) {
	var result any
	err := guard(func() error {
		closed, err := r.drain()
		if err != nil {
			return err
		}
		var ended error
		if result, ended = r.library.Result(); result != nil {
			return nil
		}
		if blamed := (protocol.Error{}); errors.As(ended, &blamed) || closed {
			return &endError{blamed}
		}
		return nil
	})
	if err == nil && result == nil && !r.hasResult() && r.round == r.cfg.ReleaseRound {
		r.done, r.library, r.held = true, nil, nil
		return
	}
	if result != nil && err == nil {
		err = guard(func() error { return r.cfg.Finish(result) })
		if err == nil {
			r.done, r.library, r.held = true, nil, nil
			return
		}
		r.fail(0, r.round, "the result is not what was asked for", err)
		return
	}
	if err != nil {
		r.failLibrary(from, err)
	}
}

// failLibrary aborts for an end of the library. It blames from only if the library says that the message just fed is
// at fault: since that was fed in its round and its sender agrees on all that was broadcast before, what failed was
// the sender's own doing. What the library says about itself or others is not believed.
func (r *Run) failLibrary(from signing.PartyID, err error) {
	var ended *endError
	if !errors.As(err, &ended) || ended.end.Err == nil {
		r.fail(0, r.round, "the library ended without a result", err)
		return
	}
	culprit := signing.PartyID(0)
	if from != 0 && len(ended.end.Culprits) == 1 && ended.end.Culprits[0] == ID(from) {
		culprit = from
	}
	r.fail(culprit, r.round, "a check of the protocol failed", ended.end.Err)
}

// fail ends the session.
func (r *Run) fail(culprit signing.PartyID, round uint16, reason string, cause error) {
	r.abort = &signing.Abort{Culprit: culprit, Round: round, Reason: reason, Err: cause}
	r.library, r.out, r.held, r.done = nil, nil, nil, false
}

// endError is an end of the library; its Err is nil if the library gave none.
type endError struct{ end protocol.Error }

func (e *endError) Error() string {
	if e.end.Err == nil {
		return "it closed its channel"
	}
	return e.end.Err.Error()
}

// guard runs f and makes an error of a panic. The panic's value is not shown: it could hold a number of a computation.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the library panicked (%T)", p)
		}
	}()
	return f()
}

// ID is the library's name of a party: its index as one byte, so that its x coordinate is the index.
func ID(p signing.PartyID) party.ID { return party.ID([]byte{byte(p)}) }

// IDs names several parties, ascending.
func IDs(parties []signing.PartyID) []party.ID {
	out := make([]party.ID, 0, len(parties))
	for _, p := range slices.Sorted(slices.Values(parties)) {
		out = append(out, ID(p))
	}
	return out
}
