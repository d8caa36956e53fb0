package command_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
)

// TestFullShardRefuses pretends that shards end after a few megabytes: writes are refused then, in transactions and by
// the embedded calls too, and what frees memory is not.
func TestFullShardRefuses(t *testing.T) {
	const wall = 4 << 20
	e := engine.New(engine.Options{Reserve: 16<<30 - wall})
	defer e.Close()
	r := &rig{t: t, Processor: command.NewProcessor(e, config.New(), command.Info{})}
	c := r.connect()
	value := strings.Repeat("x", 100<<10)
	i, refusal := 0, ""
	for ; i < 100; i++ {
		if refusal = c.do("SET", fmt.Sprintf("once%d", 0), value+fmt.Sprint(i)); refusal != "OK" {
			break
		}
		if refusal = c.do("RPUSH", "list", value); strings.HasPrefix(refusal, "OOM") {
			break
		}
	}
	if refusal != string(engine.ErrShardFull) {
		t.Fatalf("after %d rounds: %q", i, refusal)
	}
	c.do("MULTI")
	c.want("QUEUED", "RPUSH list x")
	c.want("["+string(engine.ErrShardFull)+"]", "EXEC")
	if err := r.NewSession(nil).SetString("list", []byte("x"), 0); err != engine.ErrShardFull {
		t.Errorf("SetString: %v", err)
	}
	c.want("(1)", "DEL list")
	c.want("(1)", "RPUSH list x")
}
