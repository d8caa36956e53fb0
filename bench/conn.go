package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// conn is a plain RESP2 connection: commands one by one, or thousands in flight.
type conn struct {
	c   net.Conn
	in  *bufio.Reader
	out *bufio.Writer
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, in: bufio.NewReaderSize(c, 64<<10), out: bufio.NewWriterSize(c, 64<<10)}, nil
}

func (c *conn) close() { _ = c.c.Close() }

func (c *conn) write(words []string) error {
	c.out.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
	for _, w := range words {
		c.out.WriteString("$" + strconv.Itoa(len(w)) + "\r\n")
		c.out.WriteString(w)
		if _, err := c.out.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return nil
}

// do runs one command; the reply's texts come flat.
func (c *conn) do(words ...string) ([]string, error) {
	if err := c.write(words); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	return c.reply()
}

func (c *conn) reply() ([]string, error) {
	head, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(head) < 3 {
		return nil, fmt.Errorf("malformed reply %q", head)
	}
	text := head[1 : len(head)-2]
	switch head[0] {
	case '+', ':':
		return []string{text}, nil
	case '-':
		return nil, errors.New(text)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return nil, err
	}
	if head[0] == '$' {
		body := make([]byte, n+2)
		_, err := io.ReadFull(c.in, body)
		return []string{string(body[:n])}, err
	}
	var all []string
	for range n {
		some, err := c.reply()
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// load sends the commands that next gives until it gives none, without waiting for replies, and fails on the first
// error among them.
func (c *conn) load(next func() []string) error {
	const inFlight = 4096
	sent := make(chan struct{}, inFlight)
	failed := make(chan error, 1)
	go func() {
		for range sent {
			if _, err := c.reply(); err != nil {
				c.close() // makes the writer fail
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	var writeErr error
	for words := next(); words != nil && writeErr == nil; words = next() {
		select {
		case sent <- struct{}{}:
		default: // the window is full: what waits in the buffer must go out before a reply can come
			if writeErr = c.out.Flush(); writeErr == nil {
				select {
				case sent <- struct{}{}:
				case err := <-failed:
					return err
				}
			}
		}
		if writeErr == nil {
			writeErr = c.write(words)
		}
	}
	if writeErr == nil {
		writeErr = c.out.Flush()
	}
	close(sent)
	return errors.Join(<-failed, writeErr)
}
