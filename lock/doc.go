// Package lock is a stub page.
package lock
