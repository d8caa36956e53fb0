package xxh3

import "testing"

// TestSum64 holds hashes of every kind of length against those of another implementation.
func TestSum64(t *testing.T) {
	b := make([]byte, 5000)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	for n, want := range map[int]uint64{
		0:    0x2d06800538d394c2,
		1:    0x429e81bc6744101c,
		2:    0xa65771cbfd464c2d,
		3:    0x32dbb5c7774cc94f,
		4:    0x65775238ca34c06f,
		5:    0xd3bdebb681920cdf,
		7:    0x39027a52dcba383e,
		8:    0x90b760c9d253d0ff,
		9:    0x15ae9f843bb50ea4,
		11:   0x5e6a60c39851e801,
		15:   0x54b0978486c08a15,
		16:   0x372c92fa68129c98,
		17:   0xb5d6b9c1898bd9d6,
		31:   0x79c8355e61bb90b5,
		32:   0x0ab1dbf9e9f8c22c,
		33:   0x4f4ae280e8465c3c,
		48:   0xcb8086c34610a21c,
		64:   0x84fcac4cce9f990d,
		65:   0x2c9f18dff914a8bd,
		96:   0xe1e1ba1b4e47ded7,
		97:   0x5cc877781800cb6b,
		127:  0xc33e60b9db382d32,
		128:  0xc59e505a97d029e0,
		129:  0xf9e651a476d6d3ca,
		143:  0x4916c14bd2fd8e2a,
		144:  0x6630fc8e0296f27f,
		200:  0x85d691776ef97dbe,
		239:  0x4d083af3e4a9a1cf,
		240:  0x967597e635f3c527,
		241:  0xd6afac6f8fa85b01,
		255:  0x22062a421972fdde,
		256:  0x9e6593bab96413da,
		511:  0xf8e3fbcf89733a1a,
		512:  0x426b67e0356d303d,
		1023: 0x120a0457e3e899f6,
		1024: 0xbb9f0c3761cdfd54,
		1025: 0x95edccc1adc4d895,
		1087: 0xb954c65e909b59e2,
		1088: 0xe8391a3978cbcf06,
		2047: 0x52e24987b24854e3,
		2048: 0x278f7a6a39416b51,
		2049: 0x644272755e8980a0,
		4999: 0xea18e5dd8fd15f51,
		5000: 0x06983d4ce0939f36,
	} {
		if got := Sum64(b[:n]); got != want {
			t.Errorf("%d bytes: %#016x, want %#016x", n, got, want)
		}
	}
	if got := Sum64([]byte("Hello world")); got != 0xb6acb9d84a38ff74 { // of Redis's documentation
		t.Errorf("Hello world: %#016x", got)
	}
}
