package larder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/store"
)

// peer is a raw client. When its connection is cut off, as CLIENT KILL of
// others does, it dials again: what it was at is lost.
type peer struct {
	dial func() (net.Conn, error)
	nc   net.Conn
	r    *resp.Reader
}

var errCutOff = errors.New("connection cut off")

// pipe sends commands at once and reads a reply to each.
func (p *peer) pipe(cmds ...string) ([]resp.Value, error) {
	if p.nc == nil {
		nc, err := p.dial()
		if err != nil {
			return nil, err
		}
		p.nc, p.r = nc, resp.NewReader(nc)
	}
	var out []byte
	for _, c := range cmds {
		out = resp.AppendCommand(out, strings.Fields(c)...)
	}
	_, err := p.nc.Write(out)
	replies := make([]resp.Value, 0, len(cmds))
	for err == nil && len(replies) < len(cmds) {
		var v resp.Value
		if v, err = p.r.Read(); err == nil && v.Kind != resp.Push {
			replies = append(replies, v)
		}
	}
	if err != nil {
		p.close()
		if malformed := !errors.Is(err, io.EOF) && !errors.As(err, new(net.Error)) && !errors.Is(err, io.ErrClosedPipe) &&
			!errors.Is(err, io.ErrUnexpectedEOF); malformed {
			return nil, err
		}
		return nil, errCutOff
	}
	return replies, nil
}

func (p *peer) close() {
	if p.nc != nil {
		_ = p.nc.Close()
		p.nc = nil
	}
}

// bank is a store with accounts between which all kinds of clients move money
// at once, in databases 0 and 1, which others exchange and empty. All money was
// created by transfers, so the balances of a database add up to zero at any instant.
type bank struct {
	t    *testing.T
	db   *larder.DB
	addr string
	left atomic.Int64 // transfers still to make

	transfers, conflicts atomic.Int64
}

const accounts = 24

func accountName(n int) string { return "account:" + strconv.Itoa(n) }

func pick(r *rand.Rand) (from, to string) {
	a := r.IntN(accounts)
	return accountName(a), accountName((a + 1 + r.IntN(accounts-1)) % accounts)
}

// moveMoney moves ARGV[1] from KEYS[1] to KEYS[2] and answers the new balance of the latter.
var moveMoney = &store.Script{
	Name: "test.move",
	Lua:  "redis.call('DECRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])",
	Go: func(tx store.Tx, keys, args []string) store.Reply {
		if r := tx.Do("DECRBY", keys[0], args[0]); r.Err() != nil {
			return r
		}
		return tx.Do("INCRBY", keys[1], args[0])
	},
}

// TestConcurrentTransfers lets every kind of client do what hurts the others most, all at once.
func TestConcurrentTransfers(t *testing.T) {
	db := open(t, larder.Options{Scripts: []*store.Script{moveMoney}})
	b := &bank{t: t, db: db, addr: serve(t, db)}
	b.left.Store(40_000)
	stuck := time.AfterFunc(2*time.Minute, func() { panic("a deadlock, most likely") })
	defer stuck.Stop()
	over := make(chan struct{})
	var working, disturbing sync.WaitGroup
	for i, transfer := range []func(*peer, *rand.Rand) error{b.inMulti, b.watched, b.scripted, b.inMulti, b.watched, b.embedded} {
		working.Go(func() {
			p := b.peer(i%2 == 0)
			defer p.close()
			r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for b.left.Add(-1) >= 0 {
				b.try(transfer(p, r))
			}
		})
	}
	for i, disturb := range []func(*peer, *rand.Rand) error{b.look, b.look, b.reshape, b.mess, b.administer, b.publish, b.scan} {
		disturbing.Go(func() {
			p := b.peer(i%2 == 0)
			defer p.close()
			r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for {
				select {
				case <-over:
					return
				default:
					b.try(disturb(p, r))
				}
			}
		})
	}
	disturbing.Go(func() { b.listen(over) })
	working.Wait()
	close(over)
	disturbing.Wait()
	t.Logf("%d transfers, %d given up because of changes meanwhile", b.transfers.Load(), b.conflicts.Load())
	if b.transfers.Load() < 10_000 {
		t.Error("too few transfers succeeded for the test to mean anything")
	}
}

// peer is a client over TCP (the event loops) or in memory (the streams).
func (b *bank) peer(tcp bool) *peer {
	if tcp {
		return &peer{dial: func() (net.Conn, error) { return net.Dial("tcp", b.addr) }}
	}
	return &peer{dial: b.db.Dial}
}

// try reports what is not the fault of those who disturb.
func (b *bank) try(err error) {
	if err != nil && !errors.Is(err, errCutOff) {
		b.t.Error(err)
	}
}

// done counts a transfer.
func (b *bank) done(ok bool) {
	if ok {
		b.transfers.Add(1)
	} else {
		b.conflicts.Add(1)
	}
}

func (b *bank) inMulti(p *peer, r *rand.Rand) error {
	from, to := pick(r)
	got, err := p.pipe("SELECT "+strconv.Itoa(r.IntN(2)), "MULTI", "DECRBY "+from+" 7", "PING", "INCRBY "+to+" 7", "DBSIZE", "EXEC")
	if err == nil {
		if exec := got[6]; exec.IsError() || len(exec.Elems) != 4 {
			return fmt.Errorf("EXEC answered %v", exec)
		}
		b.done(true)
	}
	return err
}

func (b *bank) watched(p *peer, r *rand.Rand) error {
	from, to := pick(r)
	got, err := p.pipe("WATCH "+from+" "+to, "MGET "+from+" "+to)
	if err != nil {
		return err
	}
	x, _ := strconv.Atoi(got[1].Elems[0].Text())
	y, _ := strconv.Atoi(got[1].Elems[1].Text())
	got, err = p.pipe("MULTI", "SET "+from+" "+strconv.Itoa(x-3), "SET "+to+" "+strconv.Itoa(y+3), "EXEC")
	if err == nil {
		if got[3].IsError() {
			return fmt.Errorf("EXEC answered %v", got[3])
		}
		b.done(!got[3].Null)
	}
	return err
}

func (b *bank) scripted(p *peer, r *rand.Rand) error {
	from, to := pick(r)
	got, err := p.pipe("SELECT 1", "EVALSHA "+moveMoney.SHA()+" 2 "+from+" "+to+" 5", "SELECT 0")
	if err == nil && strings.HasPrefix(got[1].Text(), "NOSCRIPT") {
		var cmd []byte
		cmd = resp.AppendCommand(cmd, "SCRIPT", "LOAD", moveMoney.Lua)
		if _, err = p.nc.Write(cmd); err == nil {
			_, err = p.r.Read()
		}
		if err != nil {
			p.close()
			return errCutOff
		}
		return nil
	}
	if err == nil {
		if got[1].Kind != resp.Int {
			return fmt.Errorf("EVALSHA answered %v", got[1])
		}
		b.done(true)
	}
	return err
}

func (b *bank) embedded(_ *peer, r *rand.Rand) error {
	from, to := pick(r)
	b.done(true)
	return b.db.Run(context.Background(), moveMoney, []string{from, to}, "11").Err()
}

// look adds up the balances of one database.
func (b *bank) look(p *peer, r *rand.Rand) error {
	var all strings.Builder
	for i := range accounts {
		all.WriteString(" " + accountName(i))
	}
	one := "MGET" + all.String()
	got, err := p.pipe("SELECT "+strconv.Itoa(r.IntN(2)), one, "MULTI", one, "INFO keyspace", one, "EXEC")
	if err != nil {
		return err
	}
	if len(got[6].Elems) != 3 {
		return fmt.Errorf("EXEC answered %v", got[6])
	}
	for _, balances := range []resp.Value{got[1], got[6].Elems[0], got[6].Elems[2]} {
		sum := 0
		for _, e := range balances.Elems {
			n, _ := strconv.Atoi(e.Text())
			sum += n
		}
		if sum != 0 || len(balances.Elems) != accounts {
			return fmt.Errorf("the balances of %d accounts add up to %d", len(balances.Elems), sum)
		}
	}
	return nil
}

// reshape empties and exchanges databases.
func (b *bank) reshape(p *peer, r *rand.Rand) error {
	cmds := []string{"SWAPDB 0 1", "SWAPDB 1 2", "SWAPDB 2 1", "FLUSHDB", "MULTI", "SWAPDB 0 1", "DBSIZE", "INFO all", "EXEC", "KEYS *", "RANDOMKEY"}
	if r.IntN(20) == 0 {
		cmds = append(cmds, "FLUSHALL")
	}
	_, err := p.pipe(cmds[r.IntN(len(cmds)):]...)
	if err == nil {
		_, err = p.pipe("SELECT " + strconv.Itoa(r.IntN(3)))
	}
	return err
}

// mess makes work for the allocator, the expirer and the evicter, on keys that nobody adds up.
func (b *bank) mess(p *peer, r *rand.Rand) error {
	k := func() string { return "mess:" + strconv.Itoa(r.IntN(60)) }
	many := " 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j"
	_, err := p.pipe("DEL "+k()+" "+k(), "HSET "+k()+many, "SADD "+k()+many, "ZADD "+k()+many, "RPUSH "+k()+many,
		"RENAME "+k()+" "+k(), "COPY "+k()+" "+k()+" REPLACE", "COPY "+k()+" "+k()+" DB 5 REPLACE", "MOVE "+k()+" 6",
		"SUNIONSTORE "+k()+" "+k()+" "+k(), "ZUNIONSTORE "+k()+" 2 "+k()+" "+k(), "LMOVE "+k()+" "+k()+" LEFT RIGHT",
		"PEXPIRE "+k()+" 20", "SPOP "+k()+" 3", "MSET "+k()+" 1 "+k()+" 2", "SET "+k()+" x PX 5", "DEL "+k())
	return err
}

// administer changes settings and cuts connections.
func (b *bank) administer(p *peer, r *rand.Rand) error {
	cmds := []string{"CLIENT LIST", "CLIENT KILL TYPE pubsub", "INFO everything", "CONFIG GET *",
		"CONFIG SET maxmemory 100mb maxmemory-policy volatile-lru", "CONFIG SET maxmemory 400kb maxmemory-policy volatile-lfu",
		"CONFIG SET maxmemory 0", "CONFIG SET hash-max-listpack-entries " + strconv.Itoa(r.IntN(20)),
		"CONFIG SET zset-max-listpack-entries " + strconv.Itoa(r.IntN(20)), "CONFIG RESETSTAT", "CLIENT NO-TOUCH ON",
		"CONFIG SET client-output-buffer-limit pubsub\x00", "COMMAND DOCS", "RESET", "HELLO 3", "SCRIPT FLUSH", "SCRIPT EXISTS x"}
	_, err := p.pipe(cmds[r.IntN(len(cmds))], "MULTI", cmds[r.IntN(len(cmds)-5)], "INFO stats", "CLIENT INFO", "EXEC")
	if err == nil && r.IntN(30) == 0 {
		_, err = p.pipe("CLIENT KILL ID " + strconv.Itoa(1+r.IntN(40)))
	}
	return err
}

func (b *bank) publish(p *peer, r *rand.Rand) error {
	_, err := p.pipe("PUBLISH news "+strings.Repeat("x", r.IntN(3000)), "MULTI", "PUBLISH news 1", "PUBLISH other 2", "EXEC",
		"PUBSUB NUMSUB news", "PUBSUB CHANNELS", "PUBSUB NUMPAT")
	return err
}

func (b *bank) scan(p *peer, r *rand.Rand) error {
	for cursor := "0"; ; {
		got, err := p.pipe("SCAN " + cursor + " COUNT " + strconv.Itoa(1+r.IntN(30)))
		if err != nil {
			return err
		}
		if len(got[0].Elems) != 2 {
			return fmt.Errorf("SCAN answered %v", got[0])
		}
		if cursor = got[0].Elems[0].Text(); cursor == "0" {
			return nil
		}
	}
}

// listen subscribes and leaves, over and over, over connections that get killed.
func (b *bank) listen(over chan struct{}) {
	p := b.peer(true)
	defer p.close()
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		default:
		}
		if _, err := p.pipe("HELLO 3"); err != nil {
			continue
		}
		var out []byte
		for _, c := range []string{"SUBSCRIBE news " + strconv.Itoa(n), "PSUBSCRIBE n* *", "UNSUBSCRIBE", "PUNSUBSCRIBE"} {
			out = resp.AppendCommand(out, strings.Fields(c)...)
		}
		_, err := p.nc.Write(out)
		for confirmed := 0; err == nil && confirmed < 8; {
			var v resp.Value
			if v, err = p.r.Read(); err == nil && !strings.HasSuffix(v.Elems[0].Text(), "message") {
				confirmed++
			}
		}
		if err != nil {
			p.close()
		}
	}
}
