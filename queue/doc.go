// Package queue runs background jobs from any Larder store.
package queue
