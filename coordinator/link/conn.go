package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/coordinator"
)

const (
	maxBatch  = 16 // frames of a node that are dealt with in one transaction
	maxWindow = 48 // frames to a node that are not acknowledged
	maxPassed = 64 // frames to a node that are passed on and not kept

	goodbyeTime = 2 * time.Second // for a node to hang up after a refusal
)

// conn is one connection of a node. Four goroutines serve it: one reads, one deals with what was read, one writes, one
// asks for signs of life. It is the coordinator.Link of its peer.
type conn struct {
	ws   *websocket.Conn
	cfg  Config
	peer *coordinator.Peer
	wake chan struct{} // signals that there is something to write

	mu       sync.Mutex // guards the fields below
	subjects []coordinator.Subject
	passed   []*linkv1.Frame
	mail     bool       // the mailbox may have more
	position uint64     // of the last letter that was written
	ack      uint64     // to write, 0: none
	end      *refusal   // to write last
	nextSeq  uint64     // of the next frame that wants an acknowledgement
	unacked  []inFlight // by seq
}

type inFlight struct {
	seq     uint64
	receipt coordinator.Receipt
}

var _ coordinator.Link = (*conn)(nil)

func newConn(ws *websocket.Conn, cfg Config) *conn {
	return &conn{ws: ws, cfg: cfg, wake: make(chan struct{}, 1), nextSeq: 1, mail: true}
}

// change changes what is to be written, and has the writer look.
func (c *conn) change(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Tell implements coordinator.Link.
func (c *conn) Tell(sub coordinator.Subject) {
	c.change(func() {
		if !slices.Contains(c.subjects, sub) {
			c.subjects = append(c.subjects, sub)
		}
	})
}

// Mail implements coordinator.Link.
func (c *conn) Mail() { c.change(func() { c.mail = true }) }

// Pass implements coordinator.Link.
func (c *conn) Pass(f *linkv1.Frame) {
	c.change(func() {
		if len(c.passed) < maxPassed {
			c.passed = append(c.passed, f)
		}
	})
}

// Replaced implements coordinator.Link.
func (c *conn) Replaced() {
	c.refuse(&refusal{string(coordinator.CodeReplaced), "a newer connection of this node took over"})
}

// refuse ends the connection once what is to be acknowledged has been.
func (c *conn) refuse(r *refusal) {
	c.change(func() {
		if c.end == nil {
			c.end = r
		}
	})
}

// run serves the connection until it ends, and says why it did.
func (c *conn) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inbound := make(chan *linkv1.Frame, maxBatch)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(c.read(ctx, inbound)) })
	wg.Go(func() { cancel(c.keepAlive(ctx)) })
	wg.Go(func() {
		if err := c.handle(ctx, inbound); err != nil {
			cancel(err)
		}
	})
	err := c.write(ctx)
	refused := asRefusal(err)
	if refused != nil {
		sayGoodbye(ctx)
	}
	cancel(err)
	_ = c.ws.CloseNow()
	wg.Wait()
	if refused != nil {
		return refused
	}
	return context.Cause(ctx)
}

// sayGoodbye waits until the node, which has been told why, hangs up: the reader ends ctx then. It does not wait for long.
func sayGoodbye(ctx context.Context) {
	timer := time.NewTimer(goodbyeTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (c *conn) read(ctx context.Context, inbound chan<- *linkv1.Frame) error {
	for {
		f, err := readFrame(ctx, c.ws)
		if refused := asRefusal(err); refused != nil {
			c.refuse(refused) // the writer ends the connection
			return discard(ctx, c.ws)
		}
		if err != nil {
			return err
		}
		select {
		case inbound <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// discard reads until the node hangs up.
func discard(ctx context.Context, ws *websocket.Conn) error {
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			return fmt.Errorf("node hung up: %w", err)
		}
	}
}

// handle deals with frames in their order, several in one transaction where they wait. It returns nil where the writer is
// to end the connection.
func (c *conn) handle(ctx context.Context, inbound <-chan *linkv1.Frame) error {
	last := uint64(0)
	for {
		batch, err := collect(ctx, inbound)
		if err != nil {
			return err
		}
		var frames []*linkv1.Frame
		var receipts []coordinator.Receipt
		var wrong *refusal
		for _, f := range batch {
			if a := f.GetAck(); a != nil {
				taken, ok := c.acknowledged(a.Seq)
				if !ok {
					wrong = &refusal{string(coordinator.CodeViolation), "an acknowledgement of a frame that was not sent"}
					break
				}
				receipts = append(receipts, taken...)
				continue
			}
			if f.Seq != 0 && f.Seq != last+1 {
				wrong = &refusal{string(coordinator.CodeViolation), fmt.Sprintf("frame %d came where %d was due", f.Seq, last+1)}
				break
			}
			if f.Seq != 0 {
				last = f.Seq
			}
			frames = append(frames, f)
		}
		if err := c.deal(ctx, frames, receipts); err != nil {
			if wrong = asRefusal(err); wrong == nil {
				return err
			}
		}
		if wrong != nil {
			c.refuse(wrong)
			return nil
		}
	}
}

// deal has the coordinator deal with frames and receipts, and acknowledges what is durable.
func (c *conn) deal(ctx context.Context, frames []*linkv1.Frame, receipts []coordinator.Receipt) error {
	if len(frames) == 0 && len(receipts) == 0 {
		return nil
	}
	handled, err := c.peer.Handle(ctx, frames, receipts)
	ack := uint64(0)
	for _, f := range frames[:handled] {
		ack = max(ack, f.Seq)
	}
	if ack > 0 {
		c.change(func() { c.ack = ack })
	}
	if err != nil {
		return fmt.Errorf("deal with frames: %w", told(err))
	}
	return nil
}

func asRefusal(err error) *refusal {
	var r *refusal
	errors.As(err, &r)
	return r
}

// collect waits for a frame and takes those that wait behind it.
func collect(ctx context.Context, inbound <-chan *linkv1.Frame) ([]*linkv1.Frame, error) {
	var batch []*linkv1.Frame
	select {
	case f := <-inbound:
		batch = append(batch, f)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(batch) < maxBatch {
		select {
		case f := <-inbound:
			batch = append(batch, f)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// acknowledged gives the receipts of all frames up to a seq; ok is false if that one was never sent.
func (c *conn) acknowledged(seq uint64) (receipts []coordinator.Receipt, ok bool) {
	c.change(func() {
		ok = seq < c.nextSeq
		n := 0
		for ok && n < len(c.unacked) && c.unacked[n].seq <= seq {
			receipts = append(receipts, c.unacked[n].receipt)
			n++
		}
		c.unacked = c.unacked[n:]
	})
	return receipts, ok
}

// write writes what there is to write until the connection ends.
func (c *conn) write(ctx context.Context) error {
	for {
		more, err := c.writeOne(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// work is one thing to write.
type work struct {
	ack     uint64
	end     *refusal
	subject *coordinator.Subject
	pass    *linkv1.Frame
	mail    bool
	after   uint64
	limit   int
}

// next takes the most urgent thing to write; ok is false if there is none.
func (c *conn) next() (w work, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ack != 0:
		w.ack, c.ack = c.ack, 0
	case c.end != nil:
		w.end = c.end
	case len(c.subjects) > 0 && len(c.unacked) < maxWindow:
		w.subject, c.subjects = &c.subjects[0], c.subjects[1:]
	case len(c.passed) > 0:
		w.pass, c.passed = c.passed[0], c.passed[1:]
	case c.mail && len(c.unacked) < maxWindow:
		w.mail, w.after, w.limit, c.mail = true, c.position, maxWindow-len(c.unacked), false
	default:
		return w, false
	}
	return w, true
}

func (c *conn) writeOne(ctx context.Context) (more bool, err error) {
	w, ok := c.next()
	if !ok {
		return false, nil
	}
	var out []coordinator.Delivery
	switch {
	case w.ack != 0:
		out = []coordinator.Delivery{{Frame: &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: w.ack}}}}}
	case w.end != nil:
		frame := &linkv1.Frame{Body: &linkv1.Frame_Refusal{Refusal: &linkv1.Refusal{Code: w.end.code, Message: w.end.message}}}
		if err := writeTimed(ctx, c.cfg.WriteTime, c.ws, frame); err != nil {
			return false, err
		}
		return false, w.end
	case w.subject != nil:
		out, err = c.peer.Frames(ctx, *w.subject)
	case w.pass != nil:
		out = []coordinator.Delivery{{Frame: w.pass}}
	default:
		out, err = c.letters(ctx, w)
	}
	if err != nil {
		return false, err
	}
	for _, d := range out {
		if err := writeTimed(ctx, c.cfg.WriteTime, c.ws, c.number(d)); err != nil {
			return false, fmt.Errorf("write to node: %w", err)
		}
	}
	return true, nil
}

func (c *conn) letters(ctx context.Context, w work) ([]coordinator.Delivery, error) {
	out, err := c.peer.Letters(ctx, w.after, w.limit)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.position = out[len(out)-1].Receipt.Position
	c.mail = true // there may be more
	return out, nil
}

// number gives a frame that wants an acknowledgement its seq.
func (c *conn) number(d coordinator.Delivery) *linkv1.Frame {
	if d.Receipt.Empty() {
		return d.Frame
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d.Frame.Seq = c.nextSeq
	c.unacked = append(c.unacked, inFlight{c.nextSeq, d.Receipt})
	c.nextSeq++
	return d.Frame
}

// keepAlive asks for signs of life.
func (c *conn) keepAlive(ctx context.Context) error {
	ticker := time.NewTicker(c.cfg.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		ping, cancel := context.WithTimeout(ctx, c.cfg.PingEvery)
		err := c.ws.Ping(ping)
		cancel()
		if err != nil {
			return fmt.Errorf("the node shows no sign of life: %w", err)
		}
	}
}
