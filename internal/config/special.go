package config

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The kinds of the few directives that have a form of their own.

// SavePoint asks for a snapshot once Changes keys have changed within Seconds.
type SavePoint struct{ Seconds, Changes int64 }

// savePoints is "seconds changes ..."; empty for no snapshots.
type savePoints struct{}

func (savePoints) parse(args []string, _ value) (value, error) {
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	points := make([]SavePoint, 0, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return value{}, errors.New("Invalid save parameters")
		}
		seconds, err1 := strconv.ParseInt(args[i], 10, 64)
		changes, err2 := strconv.ParseInt(args[i+1], 10, 64)
		if err1 != nil || err2 != nil || seconds < 1 || changes < 0 {
			return value{}, errors.New("Invalid save parameters")
		}
		points = append(points, SavePoint{seconds, changes})
	}
	return savePointsValue(points), nil
}

func savePointsValue(points []SavePoint) value {
	var words []string
	for _, p := range points {
		words = append(words, strconv.FormatInt(p.Seconds, 10), strconv.FormatInt(p.Changes, 10))
	}
	return value{text: strings.Join(words, " "), data: points}
}

// ClientClass tells the three kinds of clients apart that have output limits of their own.
type ClientClass int

// The classes, in the order in which CONFIG GET lists them.
const (
	NormalClient ClientClass = iota
	ReplicaClient
	PubSubClient
	numClientClasses
)

// OutputLimit bounds the replies that wait for one client. Zero means no limit.
type OutputLimit struct {
	Hard        uint64 // bytes; the client is closed at once
	Soft        uint64 // bytes; the client is closed when it stays above for SoftSeconds
	SoftSeconds int64
}

// outputLimits is "class hard soft seconds ..."; classes that are not named keep what they have.
type outputLimits struct{}

func (outputLimits) parse(args []string, old value) (value, error) {
	if len(args)%4 != 0 {
		return value{}, errors.New("Wrong number of arguments in buffer limit configuration.")
	}
	limits, _ := old.data.([numClientClasses]OutputLimit)
	for ; len(args) > 0; args = args[4:] {
		class, ok := clientClass(args[0])
		if !ok {
			return value{}, errors.New("Invalid client class specified in buffer limit configuration.")
		}
		hard, err1 := ParseMemory(args[1])
		soft, err2 := ParseMemory(args[2])
		seconds, err3 := strconv.ParseInt(args[3], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil || seconds < 0 {
			return value{}, errors.New("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		limits[class] = OutputLimit{hard, soft, seconds}
	}
	var words []string
	for class, name := range [numClientClasses]string{"normal", "slave", "pubsub"} {
		l := limits[class]
		words = append(words, name, strconv.FormatUint(l.Hard, 10), strconv.FormatUint(l.Soft, 10),
			strconv.FormatInt(l.SoftSeconds, 10))
	}
	return value{text: strings.Join(words, " "), data: limits}, nil
}

func clientClass(name string) (ClientClass, bool) {
	switch strings.ToLower(name) {
	case "normal":
		return NormalClient, true
	case "slave", "replica":
		return ReplicaClient, true
	case "pubsub":
		return PubSubClient, true
	}
	return 0, false
}

// oomScores is one score for the server, its replicas and its children each.
type oomScores struct{}

func (oomScores) parse(args []string, _ value) (value, error) {
	if len(args) != 3 {
		return value{}, errors.New("wrong number of arguments")
	}
	words := make([]string, len(args))
	for i, arg := range args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || n < -2000 || n > 2000 {
			return value{}, errors.New("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
		}
		words[i] = strconv.FormatInt(n, 10)
	}
	return value{text: strings.Join(words, " ")}, nil
}

// NotifyFlags are the classes of keyspace events that are published.
type NotifyFlags uint16

// The classes, in the order in which CONFIG GET spells them.
const (
	NotifyGeneric   NotifyFlags = 1 << iota // g
	NotifyString                            // $
	NotifyList                              // l
	NotifySet                               // s
	NotifyHash                              // h
	NotifySortedSet                         // z
	NotifyExpired                           // x
	NotifyEvicted                           // e
	NotifyStream                            // t
	NotifyModule                            // d
	NotifyNew                               // n, not part of A
	NotifyKeyspace                          // K: to __keyspace@db__ channels
	NotifyKeyevent                          // E: to __keyevent@db__ channels
	NotifyKeyMiss                           // m, not part of A

	// NotifyAll is A.
	NotifyAll = NotifyGeneric | NotifyString | NotifyList | NotifySet | NotifyHash | NotifySortedSet | NotifyExpired |
		NotifyEvicted | NotifyStream | NotifyModule
)

const notifyLetters = "g$lshzxetdnKEm"

// NotifyClass is the flag of one letter; 0 for what is none.
func NotifyClass(letter byte) NotifyFlags {
	if i := strings.IndexByte(notifyLetters, letter); i >= 0 {
		return 1 << i
	}
	return 0
}

// notifyClasses is a word of letters, one a class.
type notifyClasses struct{}

func (notifyClasses) parse(args []string, _ value) (value, error) {
	var flags NotifyFlags
	for _, c := range args[0] {
		i := strings.IndexRune(notifyLetters, c)
		switch {
		case c == 'A':
			flags |= NotifyAll
		case i >= 0:
			flags |= 1 << i
		default:
			return value{}, errors.New("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
	}
	return value{text: flags.String(), num: int64(flags)}, nil
}

// String spells the classes as CONFIG GET does.
func (f NotifyFlags) String() string {
	var b strings.Builder
	left := f
	if f&NotifyAll == NotifyAll {
		b.WriteByte('A')
		left &^= NotifyAll | NotifyNew // as Redis, which does not spell n after A
	}
	for i := range len(notifyLetters) {
		if left&(1<<i) != 0 {
			b.WriteByte(notifyLetters[i])
		}
	}
	return b.String()
}

// addresses is the list of bind: none means every interface, a leading minus that it is no error if there is no such
// address here.
type addresses struct{}

func (addresses) parse(args []string, _ value) (value, error) {
	const most = 16
	if len(args) > most {
		return value{}, errors.New("Too many bind addresses specified.")
	}
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	return value{text: strings.Join(args, " "), data: append([]string(nil), args...)}, nil
}

// words is any number of them.
type words struct{}

func (words) parse(args []string, _ value) (value, error) {
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	return value{text: strings.Join(args, " "), data: append([]string(nil), args...)}, nil
}

// hostPort is the check of an address to listen at.
func hostPort(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if n, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("argument must be an address such as 127.0.0.1:8079")
	}
	return nil
}

// primary is "host port" or "no one".
type primary struct{}

func (primary) parse(args []string, _ value) (value, error) {
	if len(args) == 0 || len(args) == 1 && args[0] == "" {
		return value{}, nil
	}
	if len(args) != 2 {
		return value{}, errors.New("wrong number of arguments")
	}
	if strings.EqualFold(args[0], "no") && strings.EqualFold(args[1], "one") {
		return value{}, nil
	}
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return value{}, errors.New("Invalid master port")
	}
	return value{text: args[0] + " " + strconv.FormatUint(port, 10)}, nil
}

// percentiles is any number of percentages.
type percentiles struct{}

func (percentiles) parse(args []string, _ value) (value, error) {
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	words, list := make([]string, len(args)), make([]float64, len(args))
	for i, arg := range args {
		p, err := strconv.ParseFloat(arg, 64)
		if err != nil || math.IsNaN(p) {
			return value{}, errors.New("Invalid latency-tracking-info-percentiles parameters")
		}
		if p < 0 || p > 100 {
			return value{}, errors.New("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		list[i] = p
		words[i] = strings.TrimRight(strings.TrimRight(strconv.FormatFloat(p, 'f', 6, 64), "0"), ".")
	}
	return value{text: strings.Join(words, " "), data: list}, nil
}

// directory is the working directory for files. Redis changes the process's own; a library must not, so the value is
// the absolute path against which file names are meant.
type directory struct{}

func (directory) parse(args []string, _ value) (value, error) {
	if args[0] == "" {
		return value{}, errors.New("dir can't be empty")
	}
	path, err := filepath.Abs(args[0])
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
	}
	switch {
	case err != nil && args[0] == ".":
		return value{text: "."}, nil // the default, and somebody removed the directory under us
	case err != nil:
		return value{}, errors.New(systemReason(err))
	}
	return value{text: path}, nil
}

// systemReason is the system's own text for err, with the capital letter that strerror gives it.
func systemReason(err error) string {
	var errno syscall.Errno
	reason := err.Error()
	if errors.As(err, &errno) {
		reason = errno.Error()
	}
	return strings.ToUpper(reason[:1]) + reason[1:]
}

func fileName(directive, what string) func(string) error {
	return func(s string) error {
		if s == "" {
			return errors.New(directive + " can't be empty")
		}
		if strings.ContainsAny(s, `/\`) {
			return errors.New(directive + " can't be a path, just a " + what)
		}
		return nil
	}
}

func notEmpty(directive string) func(string) error {
	return func(s string) error {
		if s == "" {
			return errors.New(directive + " can't be empty")
		}
		return nil
	}
}

func hostName(s string) error {
	const tooLong = 256
	if len(s) >= tooLong {
		return errors.New("Hostnames must be less than 256 characters")
	}
	for _, c := range s {
		if c > 127 || !isAlphanumeric(byte(c)) && c != '-' && c != '.' {
			return errors.New("Hostnames may only contain alphanumeric characters, hyphens or dots")
		}
	}
	return nil
}

func ipv4(s string) error {
	if addr, err := netip.ParseAddr(s); s != "" && (err != nil || !addr.Is4()) {
		return errors.New("Invalid IPv4 address")
	}
	return nil
}

func ipv6(s string) error {
	if addr, err := netip.ParseAddr(s); s != "" && (err != nil || !addr.Is6() || addr.Zone() != "") {
		return errors.New("Invalid IPv6 address")
	}
	return nil
}

func nodeName(s string) error {
	if strings.ContainsAny(s, "!#$%&()*+:;<>?@[]^{|}~") {
		return errors.New("Announced human node name contained invalid character")
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// titleTemplate checks a process title: text with known variables in braces, "{{" for a brace.
func titleTemplate(s string) error {
	invalid := errors.New("template format is invalid or contains unknown variables")
	rest := s
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		if strings.HasPrefix(after, "{") {
			rest = after[1:]
			continue
		}
		name, next, closed := strings.Cut(after, "}")
		switch name {
		case "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file":
		default:
			return invalid
		}
		if !closed {
			return invalid
		}
		rest = next
	}
	if strings.TrimSpace(s) == "" {
		return invalid
	}
	return nil
}

// eitherSave refuses the one pair of shutdown options that contradict each other.
func eitherSave(v value) error {
	const save, nosave = 1 << 0, 1 << 1
	if v.num&save != 0 && v.num&nosave != 0 {
		return errors.New("shutdown options SAVE and NOSAVE can't be used simultaneously")
	}
	return nil
}
