package library

import (
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/schnorr"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	"github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// Result is what the library computed. It is checked for its form only.
type Result struct {
	Secret       *edwards25519.Scalar // this party's share of the key
	PublicKey    *edwards25519.Point
	PublicShares map[signing.PartyID]*edwards25519.Point
}

// Party is a running party. No method is safe for concurrent use; after an error none may be called.
type Party struct {
	cfg   Config
	ids   tss.SortedPartyIDs
	party tss.Party
	out   chan tss.Message
	end   chan *keygen.LocalPartySaveData
}

// Start begins a run. It returns the commitment to this party's polynomial.
func Start(c Config) (p *Party, commitment [32]byte, err error) {
	err = guard(func() error {
		p = newParty(c)
		if err := p.party.Start(); err != nil {
			return err
		}
		sent, err := p.drain(1)
		if err != nil {
			return err
		}
		m, ok := sent[0].Content().(*keygen.KGRound1Message)
		if !ok {
			return fmt.Errorf("it began with a %T", sent[0].Content())
		}
		return fill(commitment[:], m.UnmarshalCommitment())
	})
	return p, commitment, err
}

func newParty(c Config) *Party {
	unsorted := make(tss.UnSortedPartyIDs, 0, len(c.Parties))
	for _, id := range c.Parties {
		unsorted = append(unsorted, tss.NewPartyID(id.String(), "", c.number(id)))
	}
	p := &Party{
		cfg: c, ids: tss.SortPartyIDs(unsorted),
		out: make(chan tss.Message, 2*len(c.Parties)), // room for all of a round: the library never waits
		end: make(chan *keygen.LocalPartySaveData, 1),
	}
	params := tss.NewParameters(tss.Edwards(), tss.NewPeerContext(p.ids), p.id(c.Self), len(p.ids), toDegree(c.Threshold))
	p.party = keygen.NewLocalParty(params, p.out, p.end)
	return p
}

func (p *Party) id(of signing.PartyID) *tss.PartyID { return p.ids[p.cfg.place(of)] }

// Commitments gives the library what the others committed themselves to. It returns what this party opens, without the
// part of the chain code, and the share for each other party.
func (p *Party) Commitments(of map[signing.PartyID][32]byte) (own *frame.Open, shares map[signing.PartyID]*edwards25519.Scalar, err error) {
	err = guard(func() error {
		for _, id := range p.others() {
			commitment, ok := of[id]
			if !ok {
				return fmt.Errorf("the commitment of %s is not there", id)
			}
			message := keygen.NewKGRound1Message(p.id(id), new(big.Int).SetBytes(commitment[:]))
			if err := p.update(message); err != nil {
				return err
			}
		}
		own, shares, err = p.openings()
		return err
	})
	return own, shares, err
}

// openings takes the library's messages of its second round.
func (p *Party) openings() (own *frame.Open, shares map[signing.PartyID]*edwards25519.Scalar, err error) {
	sent, err := p.drain(len(p.ids))
	if err != nil {
		return nil, nil, err
	}
	shares = map[signing.PartyID]*edwards25519.Scalar{}
	for _, message := range sent {
		switch m := message.Content().(type) {
		case *keygen.KGRound2Message1:
			to, err := p.receiver(message)
			if err != nil {
				return nil, nil, err
			}
			if shares[to], err = edwards.ScalarOfInt(m.UnmarshalShare()); err != nil {
				return nil, nil, fmt.Errorf("its share for %s: %w", to, err)
			}
		case *keygen.KGRound2Message2:
			if own, err = toOpen(m); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, fmt.Errorf("it sent a %T in its second round", m)
		}
	}
	if own == nil || len(shares) != len(p.others()) || len(own.Coefficients) != p.cfg.Threshold {
		return nil, nil, errors.New("it did not make one share for each party and one opening")
	}
	return own, shares, nil
}

// receiver says whom a message to one party is for.
func (p *Party) receiver(m tss.Message) (signing.PartyID, error) {
	for _, id := range p.others() {
		if to := m.GetTo(); len(to) == 1 && to[0] == p.id(id) {
			return id, nil
		}
	}
	return 0, errors.New("it made a share for nobody of the session")
}

// toOpen reads the library's opening.
func toOpen(m *keygen.KGRound2Message2) (*frame.Open, error) {
	numbers := m.UnmarshalDeCommitment()
	if len(numbers)%2 != 1 {
		return nil, fmt.Errorf("its de-commitment has %d numbers", len(numbers))
	}
	o := &frame.Open{}
	if err := fill(o.Blind[:], numbers[0]); err != nil {
		return nil, err
	}
	for i := 1; i < len(numbers); i += 2 {
		point, err := edwards.PointOfAffine(numbers[i], numbers[i+1])
		if err != nil {
			return nil, fmt.Errorf("its coefficient %d: %w", i/2, err)
		}
		o.Coefficients = append(o.Coefficients, point)
	}
	proof, err := m.UnmarshalZKProof(tss.Edwards())
	if err != nil {
		return nil, err
	}
	if o.ProofPoint, err = edwards.PointOfAffine(proof.Alpha.X(), proof.Alpha.Y()); err != nil {
		return nil, fmt.Errorf("the point of its proof: %w", err)
	}
	if o.ProofScalar, err = edwards.ScalarOfInt(proof.T); err != nil {
		return nil, fmt.Errorf("the scalar of its proof: %w", err)
	}
	return o, nil
}

// Openings gives the library what the others opened, and their shares for this party, all of it verified: it ends with
// the result.
func (p *Party) Openings(of map[signing.PartyID]*frame.Open, shares map[signing.PartyID]*edwards25519.Scalar) (result *Result, err error) {
	err = guard(func() error {
		for _, id := range p.others() {
			open, share := of[id], shares[id]
			if open == nil || share == nil || len(open.Coefficients) != p.cfg.Threshold {
				return fmt.Errorf("the opening or share of %s is not there, or not of this threshold", id)
			}
			x, y := edwards.Affine(open.ProofPoint)
			alpha, err := crypto.NewECPoint(tss.Edwards(), x, y)
			if err != nil {
				return err
			}
			proof := &schnorr.ZKProof{Alpha: alpha, T: edwards.Int(open.ProofScalar)}
			value := &vss.Share{Share: edwards.Int(share)}
			if err := p.update(keygen.NewKGRound2Message1(p.id(p.cfg.Self), p.id(id), value)); err != nil {
				return err
			}
			if err := p.update(keygen.NewKGRound2Message2(p.id(id), opening(open), proof)); err != nil {
				return err
			}
		}
		result, err = p.result()
		return err
	})
	return result, err
}

// result takes what the library ends with.
func (p *Party) result() (*Result, error) {
	var data *keygen.LocalPartySaveData
	select {
	case data = <-p.end:
	default:
		return nil, errors.New("it has no result when everything is there")
	}
	defer clear(data.Xi.Bits())
	if data.ShareID.Cmp(p.cfg.number(p.cfg.Self)) != 0 || len(data.BigXj) != len(p.ids) {
		return nil, errors.New("its result is of another party or set of parties")
	}
	out := &Result{PublicShares: map[signing.PartyID]*edwards25519.Point{}}
	var err error
	if out.Secret, err = edwards.ScalarOfInt(data.Xi); err != nil {
		return nil, fmt.Errorf("its share: %w", err)
	}
	if out.PublicKey, err = edwards.PointOfAffine(data.EDDSAPub.X(), data.EDDSAPub.Y()); err != nil {
		return nil, fmt.Errorf("its public key: %w", err)
	}
	for i, id := range p.cfg.Parties {
		share := data.BigXj[i]
		if out.PublicShares[id], err = edwards.PointOfAffine(share.X(), share.Y()); err != nil {
			return nil, fmt.Errorf("its public share of %s: %w", id, err)
		}
	}
	return out, nil
}

func (p *Party) others() []signing.PartyID {
	var out []signing.PartyID
	for _, id := range p.cfg.Parties {
		if id != p.cfg.Self {
			out = append(out, id)
		}
	}
	return out
}

// update feeds one message.
func (p *Party) update(m tss.ParsedMessage) error {
	ok, err := p.party.Update(m)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it took no notice of a message")
	}
	return nil
}

// drain takes exactly n messages.
func (p *Party) drain(n int) ([]tss.ParsedMessage, error) {
	if len(p.out) != n {
		return nil, fmt.Errorf("it sent %d messages where it should send %d", len(p.out), n)
	}
	var out []tss.ParsedMessage
	for range n {
		m, ok := (<-p.out).(tss.ParsedMessage)
		if !ok || m.GetFrom() != p.id(p.cfg.Self) {
			return nil, errors.New("it sent a message that is not its own")
		}
		out = append(out, m)
	}
	return out, nil
}

// fill writes a number big-endian.
func fill(dst []byte, n *big.Int) error {
	if n.Sign() <= 0 || n.BitLen() > 8*len(dst) {
		return fmt.Errorf("it made a number that is not of %d bytes", len(dst))
	}
	n.FillBytes(dst)
	return nil
}

// guard runs f and makes an error of a panic. The panic's value is not shown: it could hold a number of a computation.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked (%T)", p)
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("the keygen library: %w", err)
	}
	return nil
}
