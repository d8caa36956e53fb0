package top

import (
	"strings"
	"time"

	"github.com/larderdb/larder/internal/info"
)

// Sample is one reading of a server, or of several as if they were one.
type Sample struct {
	At      time.Duration // on a clock that only goes forward
	Name    string        // the server's address; "3 nodes"
	Nodes   int           // how many servers it is of
	Info    info.Info
	Latency info.Histograms   // nil if not offered
	SlowLog []SlowCall        // nil if not asked for
	Clients []Client          // nil if not asked for
	Refused map[string]string // command asked for -> what the server said instead
	OwnHits float64           // hits in the server's counters that are lookups of ours
	Err     error             // why there is nothing here
}

// SlowCall is an entry of SLOWLOG.
type SlowCall struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Micros int64     `json:"usec"`
	Call   string    `json:"call"` // as a line, safe to show
	Client string    `json:"client"`
	Node   string    `json:"node,omitempty"`
}

// Client is a line of CLIENT LIST.
type Client struct {
	Addr    string `json:"addr"`
	Name    string `json:"name"`
	Library string `json:"library"`
	User    string `json:"user"`
	Command string `json:"command"`
	Flags   string `json:"flags"`
	DB      string `json:"db"`
	ID      Num    `json:"id"`
	Age     Num    `json:"age_seconds"`
	Idle    Num    `json:"idle_seconds"`
	Memory  Num    `json:"memory_bytes"`
	Output  Num    `json:"output_bytes"` // waiting to be sent
	Calls   Num    `json:"calls"`        // since it connected; Valkey 8 and Larder
	Node    string `json:"node,omitempty"`
}

// parseClients reads CLIENT LIST. Names and libraries hold no spaces.
func parseClients(text, node string) []Client {
	list := make([]Client, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		f := make(map[string]string, 32)
		for word := range strings.FieldsSeq(line) {
			if name, value, ok := strings.Cut(word, "="); ok {
				f[name] = value
			}
		}
		if f["addr"] == "" {
			continue
		}
		lib := f["lib-name"]
		if lib != "" && f["lib-ver"] != "" {
			lib += " " + f["lib-ver"]
		}
		list = append(list, Client{
			Addr: f["addr"], Name: f["name"], Library: lib, User: f["user"], Command: f["cmd"], Flags: f["flags"], DB: f["db"],
			ID: parsed(f["id"]), Age: parsed(f["age"]), Idle: parsed(f["idle"]), Memory: parsed(f["tot-mem"]), Output: parsed(f["omem"]),
			Calls: parsed(f["tot-cmds"]), Node: node,
		})
	}
	return list
}

func parsed(s string) Num {
	in := info.Field{Value: "x=" + s}
	return maybe(in.Parts().Float("x"))
}
