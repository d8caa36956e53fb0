package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// Defaults of the limits in Options.
const (
	DefaultMaxRequest       = 10 << 20 // bytes
	DefaultMaxPipeline      = 100_000  // commands
	DefaultMaxResponse      = 64 << 20 // bytes
	DefaultBacklog          = 1024     // messages
	DefaultBacklogBytes     = 4 << 20
	DefaultMaxSubscribers   = 100_000
	DefaultMaxSubscriptions = 500
	DefaultBodyTimeout      = 30 * time.Second
)

// Options of a handler. A token is required.
type Options struct {
	// Token may do everything. ReadOnlyToken, if set, may only read.
	Token         string
	ReadOnlyToken string

	// Users maps further tokens to Stores of their own, such as one that is logged in as another user of the same server
	// (Redis ACL): what that user may not do is refused by that Store. COMMAND INFO is asked of the Store that Handler got.
	Users map[string]store.Store

	// LogIn, if set, is asked about tokens of the form name:password that are none of the above, each time that a request
	// brings one. It returns the Store as that user may use it, or an error. The client is then told that its token is wrong,
	// or, for store.ErrUnavailable and store.ErrClosed, that the store is away. LogIn should take equally long for every wrong
	// password and name; larder.DB.LogIn does:
	//
	//	LogIn: func(name, password string) (store.Store, error) { return db.LogIn(name, password) }
	LogIn func(name, password string) (store.Store, error)

	// MaxRequest bounds a request's body, in bytes, and MaxPipeline the commands of a pipeline or transaction. Defaults
	// DefaultMaxRequest and DefaultMaxPipeline.
	MaxRequest  int64
	MaxPipeline int

	// Backlog and BacklogBytes bound the messages that wait for one subscriber. One that falls further behind is
	// disconnected and counted. Defaults DefaultBacklog and DefaultBacklogBytes. MaxSubscribers bounds how many there are at once; default
	// DefaultMaxSubscribers.
	Backlog        int
	BacklogBytes   int
	MaxSubscribers int

	// MaxSubscriptions bounds the connections that subscriptions take to a Store over a network: one for each set of channels,
	// which all its subscribers share. Default DefaultMaxSubscriptions. An embedded Store has no such bound.
	MaxSubscriptions int

	// MaxResponse bounds the replies of a pipeline, in bytes. Once they are that long the commands that remain are not run, and
	// answered by an error. To a Store over a network 256 commands go at a time, and the length is looked at between. Default
	// DefaultMaxResponse. The reply of a single command, and those of a transaction, are not bounded.
	MaxResponse int

	// BodyTimeout is how long a client may take to send a body. Default DefaultBodyTimeout. For headers it is
	// http.Server.ReadHeaderTimeout.
	BodyTimeout time.Duration

	// Origins are the origins that browsers may call from (CORS): "https://app.example.com", or "*". Default none.
	Origins []string

	// Logger gets one line per event; nil: nothing is logged. Tokens, keys and values are never logged.
	Logger *slog.Logger
}

// check fills in the defaults.
func (o *Options) check() error {
	if o.Token == "" && o.ReadOnlyToken == "" && len(o.Users) == 0 && o.LogIn == nil {
		return fmt.Errorf("rest: %w: no Token; without one anybody could do anything", store.ErrInvalid)
	}
	if o.Token == o.ReadOnlyToken && o.Token != "" {
		return fmt.Errorf("rest: %w: Token and ReadOnlyToken are the same", store.ErrInvalid)
	}
	for token, st := range o.Users {
		if token == "" || token == o.Token || token == o.ReadOnlyToken || st == nil {
			return fmt.Errorf("rest: %w: Users: an empty token, one that is used twice, or no Store", store.ErrInvalid)
		}
	}
	for _, token := range append(slices.Collect(maps.Keys(o.Users)), o.Token, o.ReadOnlyToken) {
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("rest: %w: a token with a space, or what is no printable ASCII, which no header could bring", store.ErrInvalid)
		}
	}
	if min(o.MaxRequest, int64(o.MaxPipeline), int64(o.Backlog), int64(o.BacklogBytes), int64(o.MaxSubscribers), int64(o.MaxSubscriptions),
		int64(o.MaxResponse), int64(o.BodyTimeout)) < 0 {
		return fmt.Errorf("rest: %w: a negative limit", store.ErrInvalid)
	}
	for _, origin := range o.Origins {
		if origin != "*" && !isOrigin(origin) {
			return fmt.Errorf("rest: %w: origin %q; want one such as https://app.example.com, without a path, or *", store.ErrInvalid, origin)
		}
	}
	setDefault(&o.MaxRequest, DefaultMaxRequest)
	setDefault(&o.MaxPipeline, DefaultMaxPipeline)
	setDefault(&o.Backlog, DefaultBacklog)
	setDefault(&o.BacklogBytes, DefaultBacklogBytes)
	setDefault(&o.MaxSubscribers, DefaultMaxSubscribers)
	setDefault(&o.MaxSubscriptions, DefaultMaxSubscriptions)
	setDefault(&o.MaxResponse, DefaultMaxResponse)
	setDefault(&o.BodyTimeout, DefaultBodyTimeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// isOrigin tells whether browsers could send it as one: other spellings would match none.
func isOrigin(s string) bool {
	scheme, host, ok := strings.Cut(s, "://")
	return ok && scheme != "" && host != "" && !strings.ContainsAny(host, "/?#@ *") && s == strings.ToLower(s)
}

func setDefault[N ~int | ~int64](n *N, to N) {
	if *n == 0 {
		*n = to
	}
}

// errTooLarge is a request past Options.MaxRequest.
var errTooLarge = errors.New("ERR max request size exceeded")
