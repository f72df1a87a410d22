package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a server under test. It is told what to do by lines on its standard input and answers each with one line.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
	started time.Duration // until it said its address
	dir     string
}

// start runs this program again as a server of a mode, over the files in dir.
func start(mode, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "-serve", mode, "-dir", dir), dir: dir}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), asServer+"=1")
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if p.address, err = p.line(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server %s: %w", mode, err), p.cmd.Wait())
	}
	p.started = time.Since(begin)
	return p, nil
}

func (p *process) line() (string, error) {
	line, err := p.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// tell gives the server an order and returns its answer.
func (p *process) tell(order string) (string, error) {
	if _, err := io.WriteString(p.in, order+"\n"); err != nil {
		return "", fmt.Errorf("%s: %w", order, err)
	}
	answer, err := p.line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", order, err)
	}
	if fault, failed := strings.CutPrefix(answer, "error "); failed {
		return "", fmt.Errorf("%s: %s", order, fault)
	}
	return answer, nil
}

// number is tell for an answer that is a whole number.
func (p *process) number(order string) (uint64, error) {
	answer, err := p.tell(order)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(answer, 10, 64)
}

// stop ends the server as an operator does, and waits for it.
func (p *process) stop() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// clockTick is the unit of the times in /proc/<pid>/stat: USER_HZ, 100 a second on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is what the process has used, in user and in kernel.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(b))
}

// parseCPU reads utime and stime of proc(5), the 14th and 15th field; the 2nd may hold blanks and ends with the last ')'.
func parseCPU(stat string) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3 // behind the 2nd
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, errors.New("/proc/<pid>/stat is too short")
	}
	user, uerr := strconv.ParseInt(fields[utime], 10, 64)
	system, serr := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(uerr, serr)
}

// measured runs a load and adds what it cost the server.
func (p *process) measured(l *load, name string, forLong time.Duration) (sample, error) {
	before, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	written, err := p.number("written")
	if err != nil {
		return sample{}, err
	}
	s, err := l.run(forLong)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", name, err)
	}
	after, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	now, err := p.number("written")
	if err != nil {
		return sample{}, err
	}
	s.name, s.cpu, s.bytes = name, after-before, int64(now-written)
	return s, nil
}
