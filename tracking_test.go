package larder_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/resp"
)

// copier is a client of a server that keeps copies of what it reads, as client-side caching means it.
type copier struct {
	t      *testing.T
	conn   net.Conn
	r      *resp.Reader
	w      *resp.Writer
	copies map[string]string
}

func newCopier(t *testing.T, addr, options string) *copier {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &copier{t: t, conn: conn, r: resp.NewReader(conn), w: resp.NewWriter(nil), copies: make(map[string]string)}
	c.do("HELLO 3")
	c.do("CLIENT TRACKING ON " + options)
	return c
}

// send sends a command.
func (c *copier) send(line string) {
	words := strings.Fields(line)
	c.w.Truncate(0)
	c.w.Array(len(words))
	for _, w := range words {
		c.w.BulkString(w)
	}
	if _, err := c.conn.Write(c.w.Bytes()); err != nil {
		c.t.Error(err)
	}
}

// do runs a command and heeds the messages that come before its reply.
func (c *copier) do(line string) resp.Value {
	c.send(line)
	for {
		v, err := c.r.Read()
		switch {
		case err != nil:
			c.t.Errorf("%s: %v", line, err)
			return resp.Value{}
		case v.Kind != resp.Push:
			return v
		case v.Elems[0].Text() != "invalidate":
			continue
		case v.Elems[1].Null:
			clear(c.copies)
		}
		for _, key := range v.Elems[1].Elems {
			delete(c.copies, key.Text())
		}
	}
}

const numCopied = 60 // keys

// TestCopiesOfManyClientsAreNeverStale: clients read, keep and write the same keys over the network, in all modes, while
// keys are evicted from the tables, expire and are flushed. When all is quiet, no copy differs from what the server has.
func TestCopiesOfManyClientsAreNeverStale(t *testing.T) {
	leaktest.Check(t, "larder/internal/server")
	db := open(t, larder.Options{})
	addr := serve(t, db)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	options := []string{"", "NOLOOP", "BCAST PREFIX k", "BCAST NOLOOP", "", "OPTOUT"}
	admin := newCopier(t, addr, "")
	admin.do("CONFIG SET tracking-table-max-keys 30")
	var clients []*copier
	var wait sync.WaitGroup
	for i, o := range options {
		c := newCopier(t, addr, o)
		clients = append(clients, c)
		wait.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range 2000 {
				c.step(rnd, i, n)
			}
		})
	}
	wait.Wait()
	held := make(map[string]string)
	for i := range numCopied { // which removes what has expired
		key := fmt.Sprintf("k%d", i)
		admin.do("PERSIST " + key)
		held[key] = admin.do("GET " + key).Text()
	}
	for i, c := range clients {
		c.do("PING") // behind the messages of all that happened before
		for key, value := range c.copies {
			if held[key] != value {
				t.Errorf("client %d (%s) holds %s = %q, the server %q", i, options[i], key, value, held[key])
			}
		}
	}
}

func (c *copier) step(rnd *rand.Rand, i, n int) {
	key := fmt.Sprintf("k%d", rnd.IntN(numCopied))
	switch r := rnd.IntN(200); {
	case r == 0:
		c.do("FLUSHALL")
	case r < 10:
		c.do(fmt.Sprintf("SET %s %d:%d PX %d", key, i, n, 1+rnd.IntN(5)))
		delete(c.copies, key)
	case r < 40:
		c.do(fmt.Sprintf("SET %s %d:%d", key, i, n))
		delete(c.copies, key) // what NOLOOP asks of a client
	case r < 50:
		c.do("DEL " + key)
		delete(c.copies, key)
	default:
		value := c.do("GET " + key) // messages before the reply are heeded first: the copy is newer than they are
		c.copies[key] = value.Text()
	}
}
