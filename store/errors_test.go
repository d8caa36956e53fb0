package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestServerErrorClasses(t *testing.T) {
	for text, want := range map[string]error{
		"WRONGTYPE Operation against a key":  ErrWrongType,
		"NOSCRIPT No matching script.":       ErrNoScript,
		"OOM command not allowed":            ErrOutOfMemory,
		"READONLY You can't write":           ErrReadOnly,
		"NOAUTH Authentication required.":    ErrDenied,
		"LOADING Redis is loading":           ErrUnavailable,
		"CROSSSLOT Keys in request don't":    ErrInvalid,
		"ERR unknown command 'X', with args": ErrUnsupported,
		"ERR value is not an integer":        nil,
		"":                                   nil,
	} {
		err := fmt.Errorf("wrapped: %w", ServerError(text))
		for _, class := range []error{ErrWrongType, ErrNoScript, ErrOutOfMemory, ErrReadOnly, ErrDenied, ErrUnavailable, ErrUnsupported, ErrInvalid, ErrNil} {
			if got := errors.Is(err, class); got != (class == want) {
				t.Errorf("%q is %v: %v", text, class, got)
			}
		}
	}
	if code := ServerError("OOM no").Code(); code != "OOM" {
		t.Errorf("Code: %q", code)
	}
}

func TestUnavailable(t *testing.T) {
	err := Unavailable(io.EOF)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, io.EOF) {
		t.Errorf("%v loses a part", err)
	}
	if errors.Is(Unavailable(context.Canceled), ErrUnavailable) {
		t.Error("a cancelled caller does not make the store unavailable")
	}
	if err := Unavailable(context.DeadlineExceeded); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	if Unavailable(nil) != nil || Unavailable(err) != err || Unavailable(ErrClosed) != ErrClosed {
		t.Error("nil, ErrUnavailable and ErrClosed stay as they are")
	}
}

func TestWrapNamesPatternKeyAndRemedy(t *testing.T) {
	err := Wrap("cache", "get", "product:7", ServerError("WRONGTYPE Operation against a key"))
	for _, part := range []string{"cache", "get", `"product:7"`, "WRONGTYPE", "prefix"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	if !errors.Is(err, ErrWrongType) {
		t.Error("the class is lost")
	}
	if err := Wrap("cache", "get", "k", ServerError("CROSSSLOT Keys")); !strings.Contains(err.Error(), "hash tag") {
		t.Errorf("%q does not say what to do", err)
	}
	if Wrap("object", "load", "x", err) != err {
		t.Error("wrapped twice")
	}
	if Wrap("cache", "get", "k", nil) != nil {
		t.Error("nil does not stay nil")
	}
}

func TestStateful(t *testing.T) {
	for _, words := range [][]string{{"multi"}, {"WATCH", "k"}, {"Subscribe", "c"}, {"client", "reply", "off"}, {"SELECT", "1"}, {"hello", "3"}, {"SUNSUBSCRIBE"}, {"PSYNC"},
		{"Script", "debug", "YES"}, {"CLIENT", "IMPORT-SOURCE", "ON"}} {
		if !Stateful(words) {
			t.Errorf("%v changes the connection", words)
		}
	}
	for _, words := range [][]string{nil, {""}, {"GET", "k"}, {"CLIENT"}, {"CLIENT", "LIST"}, {"EXISTS", "k"}, {"PUBLISH", "c", "m"}, {"ZADD"}, {"SCRIPT"}, {"SCRIPT", "KILL"}} {
		if Stateful(words) {
			t.Errorf("%v does not change the connection", words)
		}
	}
}
