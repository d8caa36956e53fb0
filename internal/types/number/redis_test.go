package number

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/redistest"
)

// server is a real server that says how it reads and writes numbers.
type server struct {
	t     *testing.T
	conn  net.Conn
	in    *bufio.Reader
	grisu bool // prints doubles by Grisu2: 7.2 and later; before, with 17 digits
}

func startServer(t *testing.T) *server {
	conn, err := net.Dial("tcp", redistest.Start(t).Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &server{t: t, conn: conn, in: bufio.NewReader(conn)}
	info := s.do([][]string{{"INFO", "server"}})[0]
	_, version, _ := strings.Cut(info, "redis_version:")
	s.grisu = !strings.HasPrefix(version, "7.0.") && !strings.HasPrefix(version, "6.")
	return s
}

// do sends commands as one pipeline and returns their replies; errors begin with "-".
func (s *server) do(commands [][]string) []string {
	s.t.Helper()
	var out bytes.Buffer
	for _, args := range commands {
		fmt.Fprintf(&out, "*%d\r\n", len(args))
		for _, a := range args {
			fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(a), a)
		}
	}
	go s.conn.Write(out.Bytes())
	replies := make([]string, len(commands))
	for i := range replies {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line[0] == '$' && line != "$-1" {
			n, _ := strconv.Atoi(line[1:])
			text := make([]byte, n+2)
			if _, err := io.ReadFull(s.in, text); err != nil {
				s.t.Fatal(err)
			}
			line = string(text[:n])
		}
		replies[i] = line
	}
	return replies
}

// hardNumbers are texts at the edges of every grammar and range.
func hardNumbers() []string {
	texts := append([]string{}, refusedFloats...)
	texts = append(texts, "0", "-0", "+0", "00", "1", "-1", "+1", "1.", ".1", "-.5e1", "1e0", "0x", "0x1", "0X1P4", "0x.1p-3", "0x1p", "0x1.fffffffffffffp1023",
		"0x1p1024", "0x1p-1074", "0x1p-1075", "0x1.8p-1075", "inf", "-inf", "+inf", "Infinity", "INFINITY", "-infinity", "in", "nan(x)", "1e308", "1e309", "1.8e308",
		"1e-323", "1e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "0.1", "0.2", "0.3", "1e17", "1e18", "4611686018427387904", "4611686018427387905",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e19", "1e20", "123456789012345678901234567890",
		"3.0e3", "1e4931", "1e4932", "1.2e4932", "1e4933", "1.18973149535723176502e4932", "1.18973149535723176509e4932", "3.3621e-4932", "3.6e-4951", "1.9e-4951", "1.8e-4951", "1e-4952", "1e-5000",
		"0e5000", "0.0000000000000000000001", "99999999999999999.5", "0.00000000000000000499", "0.000000000000000005", "0.000000000000000015", "9.999999999999999999", "1e99999999999999999999", "1e-99999999999999999999",
		"0e99999999999999999999", strings.Repeat("9", 4932), strings.Repeat("9", 4933), strings.Repeat("1", 5119), strings.Repeat("1", 5120), "0."+strings.Repeat("0", 4940)+"1", strings.Repeat("0", 5000)+"1.5",
		"1\t", "\t1", "1\v", "\v1", "1\x00", "\x001", "1.5\x00", "1..2", "1.2.3", "e", "e1", "-", "+", "--1", "0b1", "0o7", "1f", "1.5l", "1'000", "１")
	return texts
}

func randomNumber(rng *rand.Rand) string {
	switch rng.Intn(8) {
	case 0:
		return strconv.FormatInt(int64(rng.Uint64())>>rng.Intn(64), 10)
	case 1:
		return strconv.FormatFloat(math.Float64frombits(rng.Uint64()), "efg"[rng.Intn(3)], -1, 64)
	case 2:
		return strconv.FormatFloat(rng.NormFloat64()*math.Pow10(rng.Intn(30)-15), 'f', rng.Intn(19), 64)
	case 3:
		return fmt.Sprintf("%d.%0*d", rng.Intn(1000)-500, 1+rng.Intn(3), rng.Intn(10))
	case 4:
		return fmt.Sprintf("%s%x.%xp%d", [...]string{"0x", "-0x", "0X"}[rng.Intn(3)], rng.Uint64()>>rng.Intn(60), rng.Uint32(), rng.Intn(200)-100)
	case 5:
		return fmt.Sprintf("%d.%de%d", rng.Intn(10), rng.Uint64(), rng.Intn(10000)-5000)
	case 6:
		return fmt.Sprintf("%de%d", rng.Intn(1000), rng.Intn(60)-30)
	default: // broken here and there
		b := []byte(strconv.FormatFloat(rng.NormFloat64()*1000, 'g', -1, 64))
		b[rng.Intn(len(b))] = "0123456789.-+eExpin _"[rng.Intn(21)]
		return string(b)
	}
}

func sampleNumbers(t *testing.T, n int) []string {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	texts := hardNumbers()
	for range n {
		texts = append(texts, randomNumber(rng))
	}
	return texts
}

func TestIntAgainstRedis(t *testing.T) {
	s := startServer(t)
	texts := sampleNumbers(t, 5000)
	var commands [][]string
	for _, text := range texts {
		commands = append(commands, []string{"SET", "k", text}, []string{"INCRBY", "k", "0"})
	}
	replies := s.do(commands)
	for i, text := range texts {
		n, ok := ParseInt([]byte(text))
		got, want := ":"+string(AppendInt(nil, n)), replies[2*i+1]
		if !ok {
			got = "-ERR value is not an integer or out of range"
		}
		if got != want {
			t.Errorf("%.60q: got %s, the server says %s", text, got, want)
		}
	}
}

func TestFloatAgainstRedis(t *testing.T) {
	s := startServer(t)
	texts := sampleNumbers(t, 20000)
	var commands [][]string
	for _, text := range texts {
		commands = append(commands, []string{"DEL", "k"}, []string{"ZADD", "k", text, "m"}, []string{"ZSCORE", "k", "m"})
	}
	replies := s.do(commands)
	for i, text := range texts {
		f, ok := ParseFloat([]byte(text))
		want := replies[3*i+2]
		if accepted := replies[3*i+1] == ":1"; accepted != ok {
			t.Errorf("%.60q: accepted %v, the server says %s", text, ok, replies[3*i+1])
			continue
		}
		if !ok {
			continue
		}
		got := string(AppendFloat(nil, f))
		if got == want || got == "-0" { // a small sorted set loses the sign of zero
			continue
		}
		back, err := strconv.ParseFloat(want, 64)
		switch {
		case err != nil || back != f:
			t.Errorf("%.60q: read as %s, the server says %s", text, got, want)
		case s.grisu:
			t.Errorf("%.60q: printed as %s, the server says %s", text, got, want)
		}
	}
}

func TestExtendedAgainstRedis(t *testing.T) {
	s := startServer(t)
	texts := sampleNumbers(t, 10000)
	rng := rand.New(rand.NewSource(int64(len(texts))))
	var commands [][]string
	var others []string
	for _, text := range texts {
		others = append(others, texts[rng.Intn(len(texts))])
		commands = append(commands, []string{"SET", "k", text}, []string{"INCRBYFLOAT", "k", others[len(others)-1]})
	}
	replies := s.do(commands)
	for i, text := range texts {
		got, want := incrByFloat(text, others[i]), replies[2*i+1]
		if got != want {
			t.Errorf("%.60q + %.60q = %.100s, the server says %.100s", text, others[i], got, want)
		}
	}
}

// incrByFloat answers as INCRBYFLOAT does.
func incrByFloat(a, b string) string {
	x, okX := ParseExtended([]byte(a))
	y, okY := ParseExtended([]byte(b))
	if !okX || !okY {
		return "-ERR value is not a valid float"
	}
	sum, ok := x.Add(y)
	if !ok {
		return "-ERR increment would produce NaN or Infinity"
	}
	return string(sum.Append(nil))
}
