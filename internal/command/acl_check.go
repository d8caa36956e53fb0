package command

import (
	"sync/atomic"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
)

// Who may run what is decided in four places: when a command comes (admit), when EXEC runs it (admitQueued), when a
// script calls it, and when it goes on after it has blocked. All of them ask permit. To a user who may do everything,
// as the default user at first, that is one load and one branch.

// denials are what was denied.
type denials struct {
	log                          acl.Log
	auth, command, key, channels atomic.Int64
}

// catalog is the table as rules see it: the number of a command is its index.
func (t *Table) catalog() *acl.Catalog {
	commands := make([]acl.Command, len(t.all))
	for i, r := range t.all {
		commands[i] = acl.Command{Name: r.full, Categories: uint64(r.categories())}
	}
	return acl.NewCatalog(categoryNames[:], commands)
}

// request says what a command's words want of a user. r keeps its memory from call to call.
func (r *Command) request(q *acl.Request, user *acl.User, args [][]byte) *acl.Request {
	*q = acl.Request{Command: r.index, Free: r.Flags&NoAuth != 0, Keys: q.Keys[:0]}
	if len(args) > 1 {
		q.FirstArg = args[1]
	}
	if !user.AllKeys() && len(r.Keys) != 0 {
		ok := r.eachKey(args, func(i int, f KeyFlag) {
			if f&VariableFlags != 0 && r.KeyUse != nil {
				f = r.KeyUse(args)
			}
			if f&NotKey == 0 {
				q.Keys = append(q.Keys, acl.Key{Pos: i, Name: args[i], Access: f.access()})
			}
		})
		q.Hidden = r.Strays != nil && r.Name != "sort" && r.Name != "sort_ro" && r.Strays(args) // those ask mayReadAll
		if !ok {                                                                                // the words make no command: there is nothing to say of keys
			q.Keys = q.Keys[:0]
		}
	}
	if !user.AllChannels() && r.Channels != 0 {
		q.Channels, q.Patterns = r.channels(args)
		q.ChannelPos = 1
	}
	return q
}

// access is what a key's flags ask of a user.
func (f KeyFlag) access() (a acl.Access) {
	if f&Access != 0 {
		a |= acl.Read
	}
	if f&(Update|Insert|Delete) != 0 {
		a |= acl.Write
	}
	return a
}

// channels are the words that name channels to listen to or to publish on. Leaving a channel needs no permission.
func (r *Command) channels(args [][]byte) (names [][]byte, patterns bool) {
	switch r.Channels {
	case Publishes:
		return args[1:2], false
	case Subscribes, SubscribesPatterns:
		return args[1:], r.Channels == SubscribesPatterns
	}
	return nil, false
}

// permit decides whether the session's user may run a command; it answers the verdict's text without a code, or
// nothing. A denial is logged.
func (s *Session) permit(row *Command, args [][]byte, in acl.Context) (acl.Reason, string) {
	a := s.account.Load()
	user := a.User()
	if user.Unrestricted() {
		return acl.Allowed, ""
	}
	v := user.Check(row.request(&s.wanted, user, args))
	if v.Reason == acl.Allowed {
		return acl.Allowed, ""
	}
	object := args[v.Pos]
	if v.Reason == acl.DeniedCommand {
		object = []byte(row.full)
	}
	s.noteDenial(acl.Entry{Reason: v.Reason, Context: in, Object: string(object), User: a.Name()})
	switch v.Reason {
	case acl.DeniedKey:
		return v.Reason, "No permissions to access a key"
	case acl.DeniedChannel:
		return v.Reason, "No permissions to access a channel"
	}
	return v.Reason, denial(v, a, row, nil)
}

// unbound tells whether the session's user may do everything. It is inlined: all there is to pay for most commands.
func (s *Session) unbound() bool { return s.account.Load().User().Unrestricted() }

// permitNow is permit for a command that has just come, of a session that is not unbound.
func (s *Session) permitNow(row *Command) string {
	in := acl.TopLevel
	if s.multi != nil {
		in = acl.InMulti
	}
	s.top = row
	if _, text := s.permit(row, s.ctx.Args, in); text != "" {
		return "NOPERM " + text
	}
	return ""
}

// permitQueued is permit for a command that EXEC is about to run.
func (s *Session) permitQueued(row *Command, args [][]byte) string {
	var why string
	switch reason, _ := s.permit(row, args, acl.InMulti); reason {
	case acl.Allowed:
		return ""
	case acl.DeniedKey:
		why = "no permission to touch the specified keys"
	case acl.DeniedChannel:
		why = "no permission to access one of the channels used as arguments"
	default:
		why = "no permission to execute the command or subcommand"
	}
	return "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: " + why
}

// permitCalled is permit for a command that a script calls.
func (s *Session) permitCalled(row *Command, args [][]byte) string {
	if _, text := s.permit(row, args, acl.InScript); text != "" {
		return "ERR ACL failure in script: " + text
	}
	return ""
}

// MayRun tells whether the session's user may run a command with these words, without a trace.
func (s *Session) MayRun(row *Command, args [][]byte) bool {
	user := s.account.Load().User()
	return user.Unrestricted() || user.Check(row.request(&s.wanted, user, args)).Reason == acl.Allowed
}

// mayReadAll tells whether the running command's user may also read every key: those that it reads are not in its words.
func (c *Ctx) mayReadAll() bool {
	user := c.Session.account.Load().User()
	return user.Unrestricted() || user.CheckReadAll(c.Row.request(&c.Session.wanted, user, c.Args))
}

// noteDenial counts and logs a denial.
func (s *Session) noteDenial(e acl.Entry) {
	d := &s.p.denied
	switch e.Reason {
	case acl.DeniedCommand:
		d.command.Add(1)
	case acl.DeniedKey:
		d.key.Add(1)
	case acl.DeniedChannel:
		d.channels.Add(1)
	default:
		d.auth.Add(1)
	}
	most := s.p.Config.Settings().ACLLogMaxLen
	if most > 0 {
		s.show(s.top)
		e.Client, e.Updated = s.describe(), s.p.clock.Now()
	}
	d.log.Add(e, most)
}

// disconnect ends the connections of users that were removed, and those that listen to what theirs may not any more.
func (c *Ctx) disconnect(changes ...acl.Change) {
	for _, ch := range changes {
		if ch.After == nil {
			c.eachSession(func(s *Session) {
				if s.account.Load() == ch.Account {
					c.kick(s, "user removed")
				}
			})
			c.expel(ch.Account)
			continue
		}
		lost := acl.Revoked(ch.Before, ch.After)
		if lost == nil {
			continue
		}
		c.Engine.Hub.Each(func(sub engine.Subscriber, name string, pattern bool) {
			if !lost.Denies([]byte(name), pattern) {
				return
			}
			const reason = "channel permission revoked"
			if l, ok := sub.(listener); ok && l.session().account.Load() == ch.Account {
				c.kick(l.session(), reason)
			} else if g, ok := sub.(Guest); ok && g.Account() == ch.Account {
				g.Expel(reason)
			}
		})
	}
}

// kick ends a session's connection: at once, or after the reply if it is the one that runs this.
func (c *Ctx) kick(s *Session, reason string) {
	switch {
	case s == c.Session:
		s.end(reason)
	case s.client != nil && !s.killed.Swap(true):
		s.client.Close(false, reason)
	}
}
