package command

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/repl"
)

// follower is the store's side of a repl.Link: a session that runs the primary's commands.
type follower struct {
	p       *Processor
	session *Session
	discard Value
}

// follow begins to follow a primary.
func (p *Processor) follow(host, port string) {
	f := &follower{p: p, session: p.NewSession(nil)}
	f.session.primary = true
	value := func(name string) string {
		v, _ := p.Config.Value(name)
		return v
	}
	link := repl.Follow(repl.LinkOptions{
		Addr: net.JoinHostPort(host, port), Port: p.Info.Port, Clock: p.clock, Target: f, Log: p.Info.Log,
		User:     func() string { return value("primaryuser") },
		Password: func() string { return value("primaryauth") },
		Timeout:  func() time.Duration { return p.Config.Settings().ReplTimeout },
	})
	p.standing.primary.Store(&primary{host, port, link})
}

// FollowConfigured follows the primary of the directive replicaof, if it names one. It is called once, at the start.
func (p *Processor) FollowConfigured() {
	value, _ := p.Config.Value("replicaof")
	if host, port, ok := strings.Cut(value, " "); ok {
		p.follow(host, port)
		p.standing.settle(p.Config.Settings())
	}
}

// stopFollowing ends the link, if there is one. What the store holds stays.
func (p *Processor) stopFollowing() {
	if old := p.standing.primary.Swap(nil); old != nil {
		old.link.Stop()
	}
}

// Stop ends what the processor does by itself, and waits for that.
func (p *Processor) Stop() {
	if old := p.standing.primary.Swap(nil); old != nil {
		old.link.Stop()
		<-old.link.Done()
	}
}

// Apply runs a command of the primary's stream.
func (f *follower) Apply(args [][]byte) {
	f.discard.Reset(2)
	f.session.Exec(args, &f.discard)
	f.session.EndBatch()
}

// Load replaces everything with a snapshot. It is received into a file first: nobody waits for the network.
func (f *follower) Load(snapshot io.Reader, _ int64) error {
	p := f.p
	name := filepath.Join(p.Config.Settings().Dir, "temp-sync.rdb")
	file, err := p.files.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = p.files.Remove(name) }()
	_, err = io.Copy(file, snapshot)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if file, err = p.files.Open(name); err != nil {
		return err
	}
	defer closeRead(file)
	f.session.db, f.session.multi = 0, nil // where a new stream begins
	p.kickReplicas("the primary's data begins anew")
	tx := f.session.tx
	tx.Begin(0)
	tx.LockAll()
	defer tx.End()
	tx.Flush(-1)
	p.scripts.libs.flush()
	_, err = dump.LoadSnapshot(bufio.NewReader(file), tx, dump.LoadOptions{Replace: true,
		Function: func(text []byte) error { return p.loadLibrary(text, true) }})
	if err != nil {
		tx.Flush(-1) // a part of the data is worse than none
	}
	return err
}

// kickReplicas ends the connections of this server's own replicas: what they follow begins anew.
func (p *Processor) kickReplicas(why string) {
	p.eachSession(func(s *Session) {
		if s.follows.Load() {
			s.client.Close(false, why)
		}
	})
}
