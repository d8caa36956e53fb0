package redisstore_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store/redisstore"
)

// In RESP3 the buckets of LATENCY HISTOGRAM are a map whose keys are integers.
func TestMapOfIntegers(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dial := func(context.Context, string) (net.Conn, error) { return db.Dial() }
	for _, query := range []string{"?protocol=3", "?protocol=2"} {
		st := open(t, "redis://larder.test"+query, redisstore.Options{Dial: dial})
		for range 3 {
			if err := st.Do(t.Context(), "GET", "k").Err(); err != nil {
				t.Fatal(err)
			}
		}
		commands, err := st.Do(t.Context(), "LATENCY", "HISTOGRAM", "get").Pairs()
		if err != nil || len(commands) != 2 {
			t.Fatalf("%s: %v %v", query, commands, err)
		}
		about, err := commands[1].Pairs()
		if err != nil || len(about) != 4 {
			t.Fatalf("%s: %v %v", query, about, err)
		}
		for i := 0; i < len(about); i += 2 {
			if name, _ := about[i].Text(); name != "histogram_usec" {
				continue
			}
			buckets, err := about[i+1].Ints()
			if err != nil || len(buckets) < 2 || len(buckets)%2 != 0 || buckets[len(buckets)-1] < 3 {
				t.Errorf("%s: buckets %v %v", query, about[i+1], err)
			}
		}
	}
}

// INFO and CLIENT LIST answer verbatim strings in RESP3, which begin with their format.
func TestVerbatim(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dial := func(context.Context, string) (net.Conn, error) { return db.Dial() }
	st := open(t, "redis://larder.test?protocol=3", redisstore.Options{Dial: dial})
	for command, want := range map[string]string{"INFO": "# Server\r\n", "CLIENT LIST": "id="} {
		if text, err := st.Do(t.Context(), strings.Fields(command)...).Text(); err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("%s begins with %.20q, want %q (%v)", command, text, want, err)
		}
	}
}
