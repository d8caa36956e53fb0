// Package compat holds other people's Redis clients against Larder: go-redis, rueidis and redigo, each through a port
// and through an in-memory connection, with redis-server as the control that the expectations themselves are right.
package compat
