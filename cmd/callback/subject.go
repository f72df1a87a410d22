package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// subject is what an approval is about, checked against what would be signed.
type subject struct {
	view    *callback.ApprovalView
	input   policy.Input
	parsed  *wire.Parsed // the request, made again of the input as far as it is hashed
	payload evidence.Payload
	digests [][]byte // of the whole payment, the payload's among them
}

var errNotAsShown = errors.New("what the server shows is not what the approval would be given for: nothing was signed; tell the security team")

// readSubject reads the request behind an approval and computes anew what the signature would stand for: the intent hash
// and the digest, of the request that is shown.
func readSubject(view *callback.ApprovalView) (*subject, error) {
	s := &subject{view: view}
	if err := json.Unmarshal(view.Request, &s.input); err != nil {
		return nil, fmt.Errorf("read the request behind the approval: %w", err)
	}
	var err error
	if s.parsed, err = callback.RequestOf(&s.input); err != nil {
		return nil, refused(fmt.Errorf("%w (%v)", errNotAsShown, err))
	}
	intent, err := callback.IntentHash(s.parsed)
	if err != nil {
		return nil, refused(fmt.Errorf("%w (%v)", errNotAsShown, err))
	}
	if s.payload, err = callback.SigningPayload(s.parsed); err != nil {
		return nil, refused(fmt.Errorf("%w (%v)", errNotAsShown, err))
	}
	if s.digests, err = callback.PaymentDigests(s.parsed); err != nil {
		return nil, refused(fmt.Errorf("%w (%v)", errNotAsShown, err))
	}
	same := slices.EqualFunc(view.Digests, s.digests, func(a ledger.Hex, b []byte) bool { return bytes.Equal(a, b) })
	if intent != view.IntentHash || !same || !slices.ContainsFunc(s.digests, func(d []byte) bool { return bytes.Equal(d, s.payload.Digest) }) {
		return nil, refused(fmt.Errorf("%w (the intent hash or a digest differs)", errNotAsShown))
	}
	if s.requester() != view.Requester {
		return nil, refused(fmt.Errorf("%w (the requester differs)", errNotAsShown))
	}
	return s, nil
}

// requester is who asked, as it is hashed.
func (s *subject) requester() string {
	if s.parsed.TxInfo == nil || s.parsed.TxInfo.Requester == nil {
		return ""
	}
	return s.parsed.TxInfo.Requester.KeyID
}

// printer writes named lines, each printable: a requester chose much of what stands in them.
type printer struct{ w io.Writer }

func (p printer) line(name, text string) {
	if text != "" {
		fmt.Fprintf(p.w, "%-14s %s\n", name, printable(text))
	}
}

// print shows what an approver decides about. The lines of the request are those that the vote stands for; what only the
// server says, its evidence and its reasons, is marked as such.
func (s *subject) print(w io.Writer) {
	v, r, p := s.view, &s.parsed.Check, printer{w}
	d := &r.RequestDetail
	p.line("approval", fmt.Sprintf("%s (%s)", v.ID, v.State))
	p.line("asked by", s.requester())
	p.line("request", fmt.Sprintf("%s, sign_type %s, key %s, path %s", r.RequestType, d.SignType, d.PublicKey, d.Path))
	t := s.parsed.TxInfo
	switch {
	case t == nil || d.SignType != wire.SignTypeTransaction:
		p.line("message", d.Message)
		p.typedData(d)
		p.beside(t)
	case s.payload.Kind == evidence.KindBitcoin:
		p.claim(t)
		p.bitcoin(s)
	default:
		p.claim(t)
		p.signed(s)
	}
	how := " (as asked: nothing ties it to the claim)"
	if s.payload.Computed {
		how = " (computed here)"
	}
	for i, digest := range s.digests {
		which := ""
		if len(s.digests) > 1 {
			which = fmt.Sprintf(", %d of %d of the payment", i+1, len(s.digests))
		}
		p.line("digest", hex.EncodeToString(digest)+how+which)
	}
	p.line("intent", v.IntentHash.String()+" (computed here)")
	p.line("server says", fmt.Sprintf("evidence %s %s", s.input.Evidence.Status, s.input.Evidence.Reason))
	for _, reason := range v.Reasons {
		if reason.Severity == wire.Wait {
			p.line("server says", reason.Rule+": "+reason.Message)
		}
	}
	p.line("needs", describe(v.Requirement)+" until "+v.Expires.UTC().Format(time.RFC3339))
	for _, vote := range v.Votes {
		p.line("vote", fmt.Sprintf("%s by %s at %s", vote.Decision, vote.Approver, vote.Time.UTC().Format(time.RFC3339)))
	}
	p.line("to be signed", ledger.Hex(ledger.ApprovalSigningBytes(v.Approval, ledger.VoteApprove)).String())
}

// describe says in words what a vote stands under: the vote's signature covers all of it.
func describe(r ledger.Requirement) string {
	var names []string
	for _, a := range r.Approvers {
		names = append(names, a.Name)
	}
	text := fmt.Sprintf("%s of group %s (%s)", counted(r.Threshold, "approval"), r.Group, strings.Join(names, ", "))
	if r.NotRequester {
		text += ", not the requester's,"
	}
	if r.RejectionFinal {
		text += " one rejection rejects,"
	}
	return text
}

// beside shows what tx_info says where something else than its transaction is signed: the vote stands for it too, and its wallet and vault
// choose limits and windows.
func (p printer) beside(t *wire.TxInfo) {
	if t == nil {
		return
	}
	var claims strings.Builder
	printer{&claims}.claim(t)
	if claims.Len() > 0 {
		p.line("beside it", "tx_info says the following, which what is signed does not prove")
		fmt.Fprint(p.w, claims.String())
	}
}

// claim shows what tx_info says.
func (p printer) claim(t *wire.TxInfo) {
	p.line("claim: chain", t.ChainSymbol)
	p.line("claim: from", t.From)
	p.line("claim: to", t.To)
	p.line("claim: amount", strings.TrimSpace(t.Amount+" "+t.AssetID))
	p.line("claim: fee", t.Fee)
	p.line("claim: payment", t.RequestID)
	p.line("claim: vault", t.VaultID)
	p.line("claim: wallet", t.WalletID)
	p.line("claim: note", strings.TrimSpace(t.Note+" "+t.Remark))
	if t.ExtraData != nil {
		for _, out := range t.ExtraData.VoutList {
			p.line("claim: output", out.Amount+" to "+out.Address)
		}
	}
	for _, r := range t.RuneDetails {
		p.line("claim: rune", fmt.Sprintf("%s %s (%s, %s, divisibility %s) from %s to %s", r.RuneAmount, r.RuneSpacedName, r.RuneID, r.RuneSymbol, r.RuneDivisibility, r.FromAddress, r.ToAddress))
	}
	for _, b := range t.BRC20Details {
		p.line("claim: BRC-20", fmt.Sprintf("%s %s %s, step %s, from %s to %s %s", b.Method, b.Quantity, b.Ticker, b.Step, b.From, b.To, b.InscriptionID))
	}
}

// printable keeps text from the network from moving a terminal's cursor, and from looking the same where it is not: what cannot be seen by
// itself is written by its number.
func printable(text string) string {
	var b strings.Builder
	for i, w := 0, 0; i < len(text); i += w {
		r := rune(0)
		r, w = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && w == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case visible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// visible reports whether a character can be seen by itself: it is no mark on another, and no blank but the plain one.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != utf8.RuneError && r != brailleBlank && !unicode.In(r, unicode.M, unicode.Other_Default_Ignorable_Code_Point)
}

// confirm asks before a vote is signed, if there is a terminal to ask on.
func (o *options) confirm(decision ledger.VoteKind, approver string, yes bool) error {
	if yes {
		return nil
	}
	f, ok := o.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	fmt.Fprintf(o.err, "%s this as %s? Type yes: ", decision, approver)
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return refused(errors.New("nothing was signed"))
	}
	return nil
}
