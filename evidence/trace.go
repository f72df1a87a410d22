package evidence

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// site is a call to be followed.
type site struct {
	depth int
	// from calls contract; nil where it is not known.
	from, contract *[20]byte
	// value is the wei that go with the call; nil where it is not known, and for a contract that calls itself (self), where
	// coins cannot move. Neither can they by a DELEGATECALL (delegate), which runs contract's code as from, whatever value is
	// named with it.
	value          *big.Int
	data           []byte
	self, delegate bool
}

// tracer follows a call into what it wraps.
type tracer struct {
	effect
	// asset is the claimed one: only it tells apart what ERC-20 and ERC-721 call by the same selector.
	asset   Asset
	abis    *ABIs
	chainID *big.Int
	// assumed is whose ABI the outermost call is read by where its contract is not known.
	assumed *[20]byte
	planned int // steps that are taken, and those that are still to be
	// first has room for the steps and movements of most transactions.
	first struct {
		steps     [1]Step
		movements [1]Movement
	}
}

// run follows the outermost call.
func (t *tracer) run(s site) *effect {
	t.planned = 1
	t.follow(s)
	if len(t.movements) > 1 && !t.open {
		t.note(CodeNotTransfer, fmt.Sprintf("the calldata moves assets %d times, and a claim names one movement", len(t.movements)))
	}
	return &t.effect
}

// follow takes one step, and then those that it wraps.
func (t *tracer) follow(s site) {
	at := len(t.steps)
	t.steps = append(t.steps, Step{
		Depth: s.depth, From: formatAddress(s.from), Contract: formatAddress(s.contract), Value: formatInt(s.value), Delegate: s.delegate,
	})
	step := &t.steps[at]
	if moves := s.value != nil && !s.delegate && (s.value.Sign() > 0 || len(s.data) == 0); moves {
		t.move(Movement{Asset: AssetNative, From: step.From, To: step.Contract, Amount: formatInt(s.value)})
	}
	if len(s.data) == 0 {
		return
	}
	m, known := t.lookup(s)
	if m == nil {
		if len(s.data) >= selectorLength {
			step.Selector = formatBytes(s.data[:selectorLength])
		}
		t.unread(step, s, CodeUnknownCall, fmt.Errorf("%s: %w", selectorOf(s.data), errUnknownMethod))
		return
	}
	step.Method, step.Selector = m.signature, m.selected
	values, err := m.decode(s.data[selectorLength:])
	var inner []site
	if err == nil && known != nil && known.unwrap != nil && (!s.delegate || known.delegated) {
		inner, err = known.unwrap(t, s, values)
	}
	if err != nil {
		t.unread(step, s, CodeUndecodable, err)
		return
	}
	step.Args = describe(m.params, values)
	switch {
	case s.delegate && !known.runsDelegated():
		step.Code = CodeDelegateCall // what its code does as somebody else, its calldata does not say
	case known == nil:
		t.unclear(step, CodeNotTransfer, "the calldata calls "+m.signature+", whose effect is known to its contract alone")
	case known.act != nil:
		known.act(t, s, values)
	default:
		t.expand(at, known.wraps, inner)
	}
}

// expand follows the calls that a step wraps, unless that goes beyond a bound.
func (t *tracer) expand(at int, argument string, inner []site) {
	step := &t.steps[at]
	switch {
	case len(inner) == 0:
		t.unclear(step, CodeNotTransfer, "the calldata calls "+step.Method+" with nothing in it")
	case step.Depth == maxCallDepth:
		t.unclear(step, CodeBound, fmt.Sprintf("calls are wrapped more than %d times", maxCallDepth))
	case t.planned+len(inner) > maxCalls:
		t.unclear(step, CodeBound, fmt.Sprintf("there are more than %d calls in it", maxCalls))
	default:
		t.planned += len(inner)
		delete(step.Args, argument)
		for _, s := range inner {
			t.follow(s)
		}
	}
}

// lookup finds the method that a call's selector stands for: the contract's own, if its ABI is known, else one of the
// standards'. The second result is nil if that is none that this package knows the effect of.
func (t *tracer) lookup(s site) (*method, *standard) {
	if len(s.data) < selectorLength {
		return nil, nil
	}
	selector := [selectorLength]byte(s.data)
	known := standards()[selector]
	contract := s.contract
	if contract == nil && s.depth == 0 {
		contract = t.assumed
	}
	if t.chainID != nil && t.chainID.IsUint64() {
		own := t.abis.functions(t.chainID.Uint64(), contract)[selector]
		if own != nil && (known == nil || known.signature != own.signature) {
			return own, nil // whatever its selector is elsewhere
		}
	}
	if known == nil {
		return nil, nil
	}
	return known.method, known
}

// unread notes a step whose calldata could not be read.
func (t *tracer) unread(step *Step, s site, code Code, err error) {
	if s.depth > 0 {
		step.Data = formatBytes(s.data)
	}
	t.unclear(step, code, err.Error())
}

// unclear notes a step of which it is not known what it does.
func (t *tracer) unclear(step *Step, code Code, reason string) {
	step.Code = code
	t.open = true
	t.note(code, reason)
}

// note adds an obstacle, once.
func (t *tracer) note(code Code, reason string) {
	if o := (obstacle{code, reason}); !slices.Contains(t.obstacles, o) {
		t.obstacles = append(t.obstacles, o)
	}
}

// noTransfer notes a call that is known, and no transfer.
func (t *tracer) noTransfer(signature string) {
	t.note(CodeNotTransfer, "the calldata calls "+signature+", which is no plain transfer")
}

func (t *tracer) move(m Movement) {
	if t.room() {
		t.movements = append(t.movements, m)
	}
}

func (t *tracer) approve(a Approval) {
	if t.room() {
		t.approvals = append(t.approvals, a)
	}
}

// room says whether one more movement or approval is kept.
func (t *tracer) room() bool {
	if len(t.movements)+len(t.approvals) < maxEffects {
		return true
	}
	t.open = true
	t.note(CodeBound, fmt.Sprintf("there are more than %d movements and approvals in it", maxEffects))
	return false
}

// claims says whether a contract is that of the claimed asset, as far as is known.
func (t *tracer) claims(contract *[20]byte) bool {
	return contract == nil || isAddress(t.asset.Contract, formatAddress(contract))
}

// standardOf says which standard a token follows, for what ERC-20 and ERC-721 call alike: the one that is claimed for
// that very token, else AssetToken.
func (t *tracer) standardOf(contract *[20]byte) AssetKind {
	if (t.asset.Kind == AssetERC20 || t.asset.Kind == AssetERC721) && t.claims(contract) {
		return t.asset.Kind
	}
	return AssetToken
}

// isERC20 says whether the outermost call is ERC-20's transfer, transferFrom or approve, as far as the claimed asset tells.
func (t *tracer) isERC20() bool {
	outermost := t.steps[0]
	switch outermost.Method {
	case MethodTransfer, MethodTransferFrom, MethodApprove:
		return outermost.Code == "" && !t.asset.hasID()
	default:
		return false
	}
}

func selectorOf(data []byte) string {
	if len(data) < selectorLength {
		return fmt.Sprintf("calldata of %d bytes", len(data))
	}
	return fmt.Sprintf("calldata with selector %x", data[:selectorLength])
}

// errUnknownMethod: nobody said what the selector stands for.
var errUnknownMethod = errors.New("unknown method")

// errLengths: a method was given lists that do not belong together, and every contract refuses that.
var errLengths = errors.New("its lists differ in length")
