package store

import (
	"context"
	"errors"
	"strings"
)

// The classes of failure. Test with errors.Is: what is returned wraps them with the details.
var (
	// ErrNil is what an accessor of Reply returns when the command succeeded but has no value: the key is missing.
	ErrNil = errors.New("no value")

	// ErrReply means a reply of another shape than was asked for: a bug, or a server that answers unlike Redis.
	ErrReply = errors.New("unexpected reply")

	// ErrUnavailable means that the store gave no answer: it cannot be reached, the connection broke, time ran out,
	// or it is not in a state to serve (loading, failing over). The command may or may not have been applied. Reading
	// again later, or going on without the store, is right; repeating a write needs thought.
	ErrUnavailable = errors.New("store unavailable")

	// ErrClosed means that the Store was closed by this process.
	ErrClosed = errors.New("store closed")

	// ErrWrongType means that the key holds another type than the command works on.
	ErrWrongType = errors.New("wrong type of value")

	// ErrNoScript means that the server does not know a script's SHA. Store.Run handles it.
	ErrNoScript = errors.New("no such script")

	// ErrOutOfMemory means that the store is at its memory limit and evicts nothing.
	ErrOutOfMemory = errors.New("store out of memory")

	// ErrReadOnly means that a write reached a read-only replica.
	ErrReadOnly = errors.New("store is read-only")

	// ErrDenied means that the store wants other credentials, or that the user lacks the permission.
	ErrDenied = errors.New("access denied")

	// ErrUnsupported means that this Store cannot do it at all: an unknown command, or one that has no place on a
	// shared connection.
	ErrUnsupported = errors.New("not supported by this store")

	// ErrInvalid means that the call itself was wrong: no command, a negative TTL, a malformed URL.
	ErrInvalid = errors.New("invalid argument")
)

// ServerError is an error that the store answered: the text as Redis words it, beginning with a code in capitals.
// It also is (errors.Is) the sentinel that stands for its code.
type ServerError string

// Error is the server's text, unchanged.
func (e ServerError) Error() string { return string(e) }

// Code is the first word: "ERR", "WRONGTYPE", "NOSCRIPT", "OOM", ...
func (e ServerError) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Is makes errors.Is(err, store.ErrWrongType) and the like work.
func (e ServerError) Is(target error) bool { return target != nil && e.class() == target }

func (e ServerError) class() error {
	switch e.Code() {
	case "WRONGTYPE":
		return ErrWrongType
	case "NOSCRIPT":
		return ErrNoScript
	case "OOM":
		return ErrOutOfMemory
	case "READONLY":
		return ErrReadOnly
	case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
		return ErrDenied
	case "CROSSSLOT":
		return ErrInvalid
	case "LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "MISCONF",
		"UNAVAILABLE": // of package rest: the store behind it gave no answer
		return ErrUnavailable
	case "ERR":
		if strings.HasPrefix(string(e), "ERR unknown command") || strings.HasPrefix(string(e), "ERR unknown subcommand") {
			return ErrUnsupported
		}
	}
	return nil
}

// Unavailable makes a transport's error an ErrUnavailable, keeping it in the chain.
//
// Adapters use it for every failure without an answer. A ctx that was cancelled is the caller's own doing and stays
// context.Canceled alone; a deadline that passed is both context.DeadlineExceeded and ErrUnavailable.
func Unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return err
	}
	return &unavailable{err}
}

type unavailable struct{ cause error }

func (e *unavailable) Error() string   { return ErrUnavailable.Error() + ": " + e.cause.Error() }
func (e *unavailable) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// OpError is how a pattern reports a failed operation: which pattern, doing what, to which key, why, and what to do
// about it.
//
//	cache: get "product:7": store unavailable: dial tcp 10.0.0.5:6379: connection refused (check that the store runs and ...)
type OpError struct {
	Pattern string // the package: "cache"
	Op      string // what was tried: "get"
	Key     string // the key as the store sees it; empty if there is none
	Err     error  // the cause
	Hint    string // what to do; empty if the cause says it all
}

// Error is one line.
func (e *OpError) Error() string {
	var b strings.Builder
	b.WriteString(e.Pattern)
	b.WriteString(": ")
	b.WriteString(e.Op)
	if e.Key != "" {
		b.WriteString(" \"")
		b.WriteString(clip(e.Key))
		b.WriteByte('"')
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteByte(')')
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *OpError) Unwrap() error { return e.Err }

// Wrap makes err an OpError with the hint that suits its class; nil stays nil. An error that is an OpError already
// is returned as it is: the innermost pattern knows best.
func Wrap(pattern, op, key string, err error) error {
	if err == nil {
		return nil
	}
	var have *OpError
	if errors.As(err, &have) {
		return err
	}
	return &OpError{Pattern: pattern, Op: op, Key: key, Err: err, Hint: Hint(err)}
}

// Hint is a sentence on what to do about an error of this package, or empty.
func Hint(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "the store did not answer before the deadline: allow more time or look at its load"
	case errors.Is(err, ErrClosed):
		return "the Store was closed: close it after its last user"
	case errors.Is(err, ErrUnavailable):
		return "check that the store runs and that its URL is right"
	case errors.Is(err, ErrWrongType):
		return "the key holds another type: use another prefix, or delete the key"
	case errors.Is(err, ErrOutOfMemory):
		return "raise maxmemory or choose an eviction policy"
	case errors.Is(err, ErrReadOnly):
		return "the URL leads to a replica: use the primary's address"
	case errors.Is(err, ErrDenied):
		return "check user name, password and ACL"
	case errors.Is(err, ErrInvalid) && crossesSlots(err):
		return "give the keys a common {hash tag}"
	case errors.Is(err, ErrUnsupported):
		return "this store lacks the command: use a newer server or another kind of store"
	}
	return ""
}

func crossesSlots(err error) bool {
	var e ServerError
	return errors.As(err, &e) && e.Code() == "CROSSSLOT"
}
