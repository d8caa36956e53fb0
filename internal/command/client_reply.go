package command

import "github.com/larderdb/larder/internal/resp"

// replyMode is what becomes of a session's replies: CLIENT REPLY. What is pushed to it is not concerned.
type replyMode uint8

const (
	speaks replyMode = iota
	skips            // the next command's reply is dropped
	silent           // all are
)

// clientReply is CLIENT REPLY ON|OFF|SKIP. Only ON is answered; within EXEC, whose reply must be whole, all are.
func clientReply(c *Ctx) {
	s := c.Session
	switch {
	case c.Is(2, "ON"):
		s.replies, s.hushed = speaks, false
		c.OK()
		return
	case c.Is(2, "OFF") && s.client != nil:
		s.replies = silent
	case c.Is(2, "SKIP") && s.client != nil:
		if s.replies != silent {
			s.replies = skips
		}
	default:
		c.Fail(errSyntax)
		return
	}
	if !c.alone {
		c.OK()
	}
}

// execHushed is exec for a session that does not want the reply.
func (s *Session) execHushed(args [][]byte, out Sink) {
	s.hushed = s.replies != speaks
	if s.replies == skips {
		s.replies = speaks
	}
	w, ok := out.(*resp.Writer)
	if !ok { // no connection: nobody could have asked for silence
		s.hushed = false
		s.exec(args, out)
		return
	}
	start := w.Len()
	s.exec(args, out)
	if s.hushed {
		w.Truncate(start)
	}
}

// Quiet tells whether the reply to the last command was dropped, or that to the next will be.
func (s *Session) Quiet() bool { return s.hushed || s.replies != speaks }

// resume ends Block with a late reply, unless it is not wanted.
func (s *Session) resume(reply []byte) {
	if s.hushed {
		reply = nil
	}
	s.client.Resume(func(w *resp.Writer) { w.Raw(reply) })
}

// flushPushes puts what was pushed in front of the reply, so that it does not come behind it.
func (s *Session) flushPushes() {
	if s.client != nil && !s.hushed {
		s.client.FlushPushes()
	}
}
