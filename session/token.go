package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// Tokens, ids and buckets
//
// A token is what the client holds: two characters that name a bucket, and 43 that are 32 random bytes. Its id is what
// the store holds: the bucket again, and the SHA-256 of the whole token. Who reads the store, a backup or a log of
// commands learns ids, and no token can be made of an id. The token has 256 random bits, so it needs neither salt nor a
// slow hash: there is nothing to guess.
//
// A bucket is one of 4096 and is the keys' hash tag. The token of somebody who logged in carries the bucket of their
// user id, so a user's sessions and the list of them share a slot: one script changes both on a Cluster too. Anonymous
// tokens carry a random one. A bucket is no secret; to lie about it only leads to keys that do not exist.

const (
	bucketLen = 2                   // characters of base64: 12 bits
	hashLen   = 43                  // base64 of 32 bytes
	idLen     = bucketLen + hashLen // of an id and of a token alike
	mask12    = 1<<12 - 1           // a bucket's bits
	alphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// newToken makes a token in a user's bucket, or in a random one for nobody.
func newToken(user string) (token, id string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	bucket := bucketOf(user)
	if user == "" {
		var r [2]byte
		_, _ = rand.Read(r[:])
		bucket = bucketName(r[0], r[1])
	}
	token = bucket + base64.RawURLEncoding.EncodeToString(b[:])
	return token, idOf(token)
}

// idOf is the id of a well-formed token.
func idOf(token string) string {
	var id [idLen]byte
	sum := sha256.Sum256([]byte(token))
	copy(id[:], token[:bucketLen])
	base64.RawURLEncoding.Encode(id[bucketLen:], sum[:])
	return string(id[:])
}

// bucketOf is the bucket of a user's sessions.
func bucketOf(user string) string {
	sum := sha256.Sum256([]byte(user))
	return bucketName(sum[0], sum[1])
}

func bucketName(a, b byte) string {
	n := (int(a)<<8 | int(b)) & mask12
	return string([]byte{alphabet[n>>6], alphabet[n&63]})
}

// wellFormed tells whether s can be a token or an id: anything else never reaches the store.
func wellFormed(s string) bool {
	if len(s) != idLen {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
