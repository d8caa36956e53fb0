package server

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The event loop
//
// A loop is one goroutine with an epoll instance. Its sockets are registered edge-triggered: a wake-up means that bytes
// came since the last one, and costs no further call to re-arm. A turn reads once; a read that fills its buffer, or a
// peer that has hung up, leaves the socket on the list of those that may hold more (again), which is gone through once
// between polls, so that a busy peer takes turns with the others.
//
// Small replies are gathered while a turn goes through its events, and go out together at its end: a client that shares the
// machine is woken for many of them and sends many commands at once. With HSET and LPUSH at pipeline 16 that is 6 to 10 %
// more commands a second.
//
// A loop that never runs out of work is preempted by the Go scheduler every 10 ms, which is often enough for other
// goroutines if no processor is free. It does not yield by itself: that wakes another thread, which takes the loop over, and
// the caches are left behind (LPUSH at pipeline 16 ran at 1.06 M/s with a yield every 32 turns and runs at 1.30 M/s).
//
// System calls on sockets never block, so they bypass the scheduler (RawSyscall): telling it would cost a good part of
// what a small read costs. A loop with nothing to do parks like any goroutine that waits for the network: epoll
// descriptors can themselves be polled, so ours is registered with Go's own poller. Measured with GET of 32 B, 50
// connections, pipeline 1, in microseconds of server CPU per command: 6.5 with one loop and 7.0 with two, where waiting in
// a blocking epoll_pwait took 7.2 and 9.8 (the scheduler hands the processor on and back each time), and redis-server 6.8.
//
// Other goroutines reach a loop through its mailbox: woken lists connections to serve, joining those to take over. An
// eventfd interrupts the wait; it is only written to when the loop says that it is going to sleep.

const (
	eventsPerPoll = 256
	writePiece    = 256 << 10 // bytes given to one write: longer ones would hold up the garbage collector

	lateMost  = 64      // replies that wait for each other
	lateBytes = 4 << 10 // longest of them

	readEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
)

type loop struct {
	srv *Server
	ep  int // epoll
	ev  int // eventfd

	parking *os.File        // owns ep
	park    syscall.RawConn // of parking
	tryPoll func(uintptr) bool

	// The loop's own.
	s       *scratch
	events  [eventsPerPoll]unix.EpollEvent
	fired   int  // number of events
	parked  bool // waits in park
	bytes   traffic
	sockets []*socket // by file descriptor
	again   []*socket // may have more to read, or be over
	late    []lateReply
	lateBuf []byte // their bytes

	// Shared.
	load     atomic.Int64 // number of sockets
	busy     atomic.Int64 // time between parks until the last one, in nanoseconds
	awake    atomic.Int64 // clock.Monotonic of the end of the last one; 0 = parked
	sleeping atomic.Bool
	mu       sync.Mutex
	woken    []*socket
	joining  []*socket
	accepts  map[int]*acceptor
	done     bool

	moveTo    *loop // who is to take moveShare of the sockets
	moveShare float64

	// The balancing goroutine's.
	seenBusy, seenAt time.Duration
}

// startLoops makes the loops on first use. srv.mu is held.
func (s *Server) startLoops() error {
	if s.closing {
		return net.ErrClosed
	}
	for len(s.loops) < s.numLoops {
		l, err := newLoop(s)
		if err != nil {
			return err
		}
		s.loops = append(s.loops, l)
		s.wg.Add(1)
		go l.run()
	}
	s.active.CompareAndSwap(0, 1)
	return nil
}

func newLoop(s *Server) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	ev, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, err
	}
	_ = unix.SetNonblock(ep, true) // what tells os that it may be polled
	l := &loop{srv: s, ep: ep, ev: ev, accepts: make(map[int]*acceptor), parking: os.NewFile(uintptr(ep), "epoll")}
	l.s = newScratch(&l.bytes)
	l.awake.Store(int64(max(1, s.clock.Monotonic())))
	l.tryPoll = l.pollOrPark
	l.park, err = l.parking.SyscallConn()
	if err == nil {
		err = l.register(unix.EPOLL_CTL_ADD, ev, unix.EPOLLIN, 0)
	}
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// register adds or changes what epoll watches. tag comes back with the events, to tell a descriptor from an earlier one
// of the same number.
func (l *loop) register(op, fd int, events uint32, tag int32) error {
	return unix.EpollCtl(l.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd), Pad: tag})
}

func (l *loop) unregister(fd int) { _ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil) }

func (l *loop) run() {
	defer l.srv.wg.Done()
	defer l.release()
	for {
		l.poll()
		for _, e := range l.events[:l.fired] {
			l.event(int(e.Fd), e.Events, e.Pad)
		}
		l.readAgain()
		if l.mail() {
			return
		}
	}
}

// lateReply is a reply that goes out when the turn ends: loop.lateBuf up to end, from where the one before ends.
type lateReply struct {
	to  *socket
	end int
}

func (l *loop) sendLater(k *socket, b []byte) {
	l.lateBuf = append(l.lateBuf, b...)
	l.late = append(l.late, lateReply{k, len(l.lateBuf)})
	k.late = true
	if len(l.late) == lateMost {
		l.settle(k)
	}
}

// settle sends the turn's replies, and ends the connections that waited for that only: who reads the reply to QUIT must
// find the client gone. One connection may be in the middle of its commands and is not ended here.
func (l *loop) settle(running *socket) {
	from := 0
	for i, r := range l.late {
		k := r.to
		l.late[i].to, k.late = nil, false
		if !k.ended {
			k.sendNow(l.lateBuf[from:r.end])
			switch over := k.over(); {
			case over && k == running:
				l.lookAgain(k)
			case over:
				l.drop(k)
			}
		}
		from = r.end
	}
	l.late, l.lateBuf = l.late[:0], l.lateBuf[:0]
}

func (l *loop) lookAgain(k *socket) {
	if !k.queued {
		k.queued = true
		l.again = append(l.again, k)
	}
}

// poll fetches events. It waits for the first one only if there is nothing else to do.
func (l *loop) poll() {
	l.settle(nil)
	l.fired = 0
	l.sleeping.Store(true)
	if len(l.again) > 0 || l.hasMail() { // looked at after sleeping was set: whoever writes later sees that it is
		l.fired = pollNow(l.ep, l.events[:])
	} else {
		_ = l.park.Read(l.tryPoll) // fails only once parking is closed
	}
	l.sleeping.Store(false)
}

// pollOrPark is what park.Read calls: it says whether there are events, and is called again after waiting if not.
func (l *loop) pollOrPark(uintptr) bool {
	if l.parked {
		l.parked = false
		l.awake.Store(int64(max(1, l.srv.clock.Monotonic())))
	}
	l.fired = pollNow(l.ep, l.events[:])
	if l.fired == 0 {
		l.parked = true
		l.busy.Add(max(0, int64(l.srv.clock.Monotonic())-l.awake.Swap(0)))
	}
	return l.fired > 0
}

func (l *loop) event(fd int, events uint32, tag int32) {
	if fd == l.ev {
		var b [8]byte
		_, _ = readNow(l.ev, b[:])
		return
	}
	if fd >= len(l.sockets) || l.sockets[fd] == nil {
		l.accept(fd)
		return
	}
	k := l.sockets[fd]
	if int32(k.id) != tag {
		return
	}
	if events&^unix.EPOLLOUT != 0 {
		k.readable = true
		k.hup = k.hup || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		k.dead = k.dead || events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	if events&unix.EPOLLOUT != 0 && k.out.size > 0 && k.flush() {
		k.serve(l.s)
	}
	l.advance(k)
}

// readAgain gives each socket that may hold more input one more turn.
func (l *loop) readAgain() {
	list := l.again
	l.again = nil
	for i, k := range list {
		list[i] = nil
		k.queued = false
		l.advance(k)
	}
	if l.again == nil {
		l.again = list[:0]
	}
}

// advance reads if that makes sense now, and ends what is over.
func (l *loop) advance(k *socket) {
	if k.ended {
		return
	}
	if k.readable && k.ready() && !k.eof {
		k.read()
	}
	if k.hup && k.has(flagBlocked) {
		k.eof = true // nobody waits for the reply any more
	}
	if k.dead && !k.ready() {
		k.flags.Or(flagKilled)
	}
	if !k.late && k.over() { // else settle sees to it
		l.drop(k)
		return
	}
	if k.readable && k.ready() && !k.eof {
		l.lookAgain(k)
	}
}

func (l *loop) interruptWait() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = writeNow(l.ev, one[:])
	}
}

func (l *loop) hasMail() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.woken)+len(l.joining) > 0 || l.done || l.moveTo != nil
}

// mail does what other goroutines have asked for, and reports whether the loop is to end.
func (l *loop) mail() (done bool) {
	l.mu.Lock()
	woken, joining, to, share, done := l.woken, l.joining, l.moveTo, l.moveShare, l.done
	l.woken, l.joining, l.moveTo = nil, nil, nil
	l.mu.Unlock()
	for _, k := range joining {
		l.join(k)
	}
	for _, k := range woken {
		if now := k.loop.Load(); now != l { // it has moved since
			now.post(k)
		} else if !k.ended {
			k.serve(l.s)
			l.advance(k)
		}
	}
	if to != nil {
		l.give(to, share)
	}
	return done
}

// join takes over a socket.
func (l *loop) join(k *socket) {
	if k.ended {
		return
	}
	for k.sys >= len(l.sockets) {
		l.sockets = append(l.sockets, make([]*socket, 64)...)
	}
	l.sockets[k.sys] = k
	if err := l.register(unix.EPOLL_CTL_ADD, k.sys, k.events(), int32(k.id)); err != nil {
		k.Close(false, "epoll: "+err.Error())
	}
}

// drop closes a socket.
func (l *loop) drop(k *socket) {
	if k.sys < len(l.sockets) && l.sockets[k.sys] == k { // else it ends before it has joined
		l.sockets[k.sys] = nil
	}
	l.load.Add(-1)
	_ = unix.Close(k.sys)
	k.readable = false
	k.finish()
}

// stop ends the loop, which has no sockets any more. Any goroutine may call it.
func (l *loop) stop() {
	l.mu.Lock()
	l.done = true
	l.mu.Unlock()
	l.interruptWait()
}

func (l *loop) release() {
	_ = l.parking.Close()
	_ = unix.Close(l.ev)
}
