package attest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// CELLA_GO_VECTORS is a folder that tests/program/make_go_vectors.c has written: the cases of the verifier in C.
func vectors(t *testing.T) string {
	folder := os.Getenv("CELLA_GO_VECTORS")
	if folder == "" {
		t.Skip("CELLA_GO_VECTORS is not set")
	}
	return folder
}

var now = time.Unix(1750000000, 0)

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func world(t *testing.T, folder string) ([]byte, *Policy) {
	t.Helper()
	collateral, err := ReadCollateral(filepath.Join(folder, "collateral"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := RootOf(read(t, folder, "root.der"))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, folder, "quote"), &Policy{Collateral: collateral, Time: now, Roots: []RootKey{root}}
}

func TestCases(t *testing.T) {
	top := vectors(t)
	entries, err := os.ReadDir(top)
	if err != nil || len(entries) < 60 {
		t.Fatalf("%d cases, %v", len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			folder := filepath.Join(top, entry.Name())
			words := strings.Fields(string(read(t, folder, "expected")))
			quote, policy := world(t, folder)
			report, err := Verify(quote, policy)
			step := Step(err)
			if err == nil {
				step = "accepted"
			}
			status := string(report.TCBStatus)
			if status == "" {
				status = "-"
			}
			if step != words[0] || status != words[1] {
				t.Errorf("step %s, status %s (%v); expected %v", step, status, err, words)
			}
			if err == nil && !report.SoftwareRoot {
				t.Error("the root is not called named")
			}
		})
	}
}

// No bit of what is signed, and no size, can change unseen.
func TestEveryByte(t *testing.T) {
	quote, policy := world(t, filepath.Join(vectors(t), "sgx_v3"))
	end := signedSize + 4 + signatureSize + 2 + 32 + 6
	for i := 0; i < end; i++ {
		changed := append([]byte(nil), quote...)
		changed[i] ^= 1
		if _, err := Verify(changed, policy); err == nil {
			t.Errorf("byte %d changed and nobody saw", i)
		}
	}
	for size := 0; size < len(quote); size += 37 {
		if _, err := Verify(quote[:size], policy); err == nil {
			t.Errorf("cut to %d bytes and nobody saw", size)
		}
	}
}

func TestWrappings(t *testing.T) {
	quote, policy := world(t, filepath.Join(vectors(t), "sgx_v3"))
	header := make([]byte, 16)
	header[0], header[4] = 1, 2
	header[8], header[9] = byte(len(quote)), byte(len(quote)>>8)
	report, err := Verify(append(header, quote...), policy)
	if err != nil || report.Data[0] != 0xDD {
		t.Errorf("in a report: %v", err)
	}
	header[4] = 1
	if _, err := Verify(append(header, quote...), policy); Step(err) != "evidence_format" {
		t.Errorf("a local report: %v", err)
	}
	evidence := make([]byte, 32)
	evidence[0] = 3
	copy(evidence[4:], formatECDSA)
	evidence[24], evidence[25] = byte(len(quote)), byte(len(quote)>>8)
	if _, err := Verify(append(evidence, quote...), policy); Step(err) != "custom_claims" {
		t.Errorf("in evidence, with other report data: %v", err)
	}
}

func TestPolicy(t *testing.T) {
	quote, policy := world(t, filepath.Join(vectors(t), "sgx_v3"))
	report, err := Verify(quote, policy)
	if err != nil {
		t.Fatal(err)
	}
	other := report.ProductID + 1
	for step, change := range map[string]func(p *Policy){
		"measurement": func(p *Policy) { p.MRENCLAVE = make([]byte, 32) },
		"signer":      func(p *Policy) { p.MRSIGNER = make([]byte, 32) },
		"product":     func(p *Policy) { p.ProductID = &other },
		"svn":         func(p *Policy) { p.MinSVN = report.SVN + 1 },
		"report_data": func(p *Policy) { p.ReportData = []byte{1} },
		"root_ca":     func(p *Policy) { p.Roots = nil },
		"root_crl":    func(p *Policy) { p.Collateral = nil },
		"validity":    func(p *Policy) { p.Time = now.AddDate(100, 0, 0) },
		"tcb_status":  func(p *Policy) { p.AcceptStatus = []Status{Revoked} },
	} {
		changed := *policy
		change(&changed)
		if _, err := Verify(quote, &changed); Step(err) != step {
			t.Errorf("expected %s: %v", step, err)
		}
	}
	policy.MRENCLAVE, policy.MRSIGNER, policy.ProductID = report.MRENCLAVE[:], report.MRSIGNER[:], &report.ProductID
	policy.MinSVN, policy.ReportData = report.SVN, bytes.Repeat([]byte{0xDD}, 64)
	if _, err := Verify(quote, policy); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte{3, 0, 2, 0})
	if folder := os.Getenv("CELLA_GO_VECTORS"); folder != "" {
		if quote, err := os.ReadFile(filepath.Join(folder, "sgx_v3", "quote")); err == nil {
			f.Add(quote)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Verify(data, nil); err == nil {
			t.Error("accepted without collateral")
		}
		_ = (&Collateral{}).Add(data)
	})
}
