// Package resp speaks RESP, the protocol of Redis, versions 2 and 3: Parser takes requests apart, Writer puts replies
// together, Reader takes replies apart again (for clients and tests). It knows no command and no socket.
package resp
