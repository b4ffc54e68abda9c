package seal

import (
	"bytes"
	"testing"

	"cella.dev/go/enclave"
)

func TestFormat(t *testing.T) {
	key, info := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{9}, 512)
	sealed, err := encrypt(key, info, []byte("data"), []byte("more"))
	if err != nil {
		t.Fatal(err)
	}
	gotInfo, rest, err := split(sealed)
	if err != nil || !bytes.Equal(gotInfo, info) {
		t.Fatalf("key information: %v", err)
	}
	if plain, err := decrypt(key, rest, []byte("more")); err != nil || string(plain) != "data" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := decrypt(key, rest, []byte("less")); err == nil {
		t.Error("other additional data was taken")
	}
	for i := range rest {
		changed := append([]byte(nil), rest...)
		changed[i] ^= 1
		if _, err := decrypt(key, changed, []byte("more")); err == nil {
			t.Errorf("byte %d changed and nobody saw", i)
		}
	}
	for size := 0; size < 4+512; size++ {
		if _, _, err := split(sealed[:size]); err == nil {
			t.Errorf("%d bytes were enough", size)
		}
	}
	if _, err := decrypt(key, rest[:5], nil); err == nil {
		t.Error("a nonce cut short was enough")
	}
}

func TestOutside(t *testing.T) {
	if enclave.Inside() {
		t.Skip("in an enclave")
	}
	if _, err := Seal([]byte("x"), nil); err != enclave.ErrOutside {
		t.Errorf("sealed outside: %v", err)
	}
	if _, err := enclave.RemoteReport(nil); err != enclave.ErrOutside {
		t.Errorf("a report outside: %v", err)
	}
	if _, err := enclave.SealKey(make([]byte, 512)); err != enclave.ErrOutside {
		t.Errorf("a key outside: %v", err)
	}
}

// Run in an enclave by tests/program: everything there works.
func TestInside(t *testing.T) {
	if !enclave.Inside() {
		t.Skip("not in an enclave")
	}
	for name, sealer := range map[string]func(a, b []byte) ([]byte, error){"enclave": Seal, "product": SealToProduct} {
		sealed, err := sealer([]byte("data"), []byte("more"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plain, err := Unseal(sealed, []byte("more"))
		if err != nil || string(plain) != "data" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
		sealed[50] ^= 1 // in the key id: another key
		if _, err := Unseal(sealed, []byte("more")); err == nil {
			t.Errorf("%s: another key opened it", name)
		}
	}
	self, err := enclave.Self()
	if err != nil {
		t.Fatal(err)
	}
	own, _ := enclave.LocalReport(nil, nil)
	report, err := enclave.LocalReport([]byte("hello"), own)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := enclave.VerifyLocalReport(report)
	if err != nil || identity.MRENCLAVE != self.MRENCLAVE || string(identity.Data[:5]) != "hello" {
		t.Errorf("%+v, %v", identity, err)
	}
	report[len(report)-1] ^= 1
	if _, err := enclave.VerifyLocalReport(report); err == nil {
		t.Error("an altered report was taken")
	}
	if _, err := enclave.VerifyLocalReport(own); err == nil {
		t.Error("a report for nobody was taken")
	}
}
