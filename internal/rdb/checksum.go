package rdb

import "hash/crc64"

// The checksum is the CRC-64 of Jones: reflected, starting at 0, without a final inversion.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// Checksum continues a checksum over p; it starts at 0.
func Checksum(sum uint64, p []byte) uint64 { return ^crc64.Update(^sum, jones, p) }
