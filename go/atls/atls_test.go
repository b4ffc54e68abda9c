package atls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"

	"cella.dev/go/attest"
)

// The example of docs/formats/attested-tls.md.
const example = "d9ea6082420300583ea26b7075626b65792d68617368582482015820" +
	"1111111111111111111111111111111111111111111111111111111111111111" + "656e6f6e63654401020304"

func TestExample(t *testing.T) {
	expected, _ := hex.DecodeString(example)
	claims := encodeClaims(bytes.Repeat([]byte{0x11}, 32), []byte{1, 2, 3, 4})
	if got := encodeEvidence([]byte{3, 0}, claims); !bytes.Equal(got, expected) {
		t.Errorf("%x", got)
	}
	quote, encoded, err := decodeEvidence(expected)
	if err != nil || !bytes.Equal(quote, []byte{3, 0}) || !bytes.Equal(encoded, claims) {
		t.Fatalf("%x %x %v", quote, encoded, err)
	}
	decoded, err := decodeClaims(encoded)
	if err != nil || !bytes.Equal(decoded["nonce"], []byte{1, 2, 3, 4}) || len(decoded) != 2 {
		t.Errorf("%v %v", decoded, err)
	}
	for size := range expected {
		if _, _, err := decodeEvidence(expected[:size]); err == nil {
			t.Errorf("%d bytes were enough", size)
		}
	}
	for _, wrong := range []string{
		"d9ea60824203005f", "d9ea6182420300403e", "d9ea608242030040" + "00", "9f420300", "",
	} {
		data, _ := hex.DecodeString(wrong)
		if _, _, err := decodeEvidence(data); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
	if twice, _ := hex.DecodeString("a2616140616140"); true {
		if _, err := decodeClaims(twice); err == nil {
			t.Error("a claim twice was taken")
		}
	}
}

func TestKeyHash(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	var data [64]byte
	certificate, err := Certificate(Options{Report: func(d []byte) ([]byte, error) {
		copy(data[:], d)
		return make([]byte, 32), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(certificate.Certificate[0])
	_, claims, err := decodeEvidence(parsed.Extensions[len(parsed.Extensions)-1].Value)
	if err != nil || attest.HashClaims(claims) != data {
		t.Fatalf("the report does not bind the claims: %v", err)
	}
	decoded, _ := decodeClaims(claims)
	if err := checkKeyHash(parsed.RawSubjectPublicKeyInfo, decoded["pubkey-hash"]); err != nil {
		t.Error(err)
	}
	if err := checkKeyHash(der, decoded["pubkey-hash"]); err == nil {
		t.Error("another key was taken")
	}
}

func TestRefusals(t *testing.T) {
	failing := errors.New("no report")
	if _, err := ServerConfig(Options{Report: func([]byte) ([]byte, error) { return nil, failing }}); !errors.Is(err, failing) {
		t.Errorf("%v", err)
	}
	fake := func([]byte) ([]byte, error) { return make([]byte, 600), nil }
	for _, form := range []Form{Interoperable, EGo, OpenEnclave} {
		certificate, err := Certificate(Options{Form: form, Report: fake})
		if err != nil {
			t.Fatal(err)
		}
		policy := &attest.Policy{MRSIGNER: make([]byte, 32)}
		if _, err := VerifyCertificate(certificate.Certificate[0], nil, policy, nil); attest.Step(err) != "evidence_format" {
			t.Errorf("form %d: %v", form, err)
		}
		if _, err := VerifyCertificate(certificate.Certificate[0], nil, nil, nil); err == nil {
			t.Errorf("form %d: a policy that says nothing was enough", form)
		}
		der := append([]byte(nil), certificate.Certificate[0]...)
		der[len(der)-1] ^= 1
		if _, err := VerifyCertificate(der, nil, policy, nil); err == nil {
			t.Errorf("form %d: a wrong signature was taken", form)
		}
	}
}
