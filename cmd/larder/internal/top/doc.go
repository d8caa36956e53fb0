// Package top is larder top: what a running Larder, Redis or Valkey server does at this moment.
//
// It has three parts. A Source reads a server, or the primaries of a cluster, through store.Store: INFO, LATENCY HISTOGRAM,
// SLOWLOG, CLIENT LIST, and at a bounded rate SCAN. It only reads. A model turns readings into figures, rows and alerts; it
// knows no terminal and no clock. A screen, for bubbletea, shows them and takes keys.
//
// A figure that a server does not offer is a dash on the screen and null in JSON, never a zero.
package top
