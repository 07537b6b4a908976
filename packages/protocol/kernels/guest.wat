;; Records made of pages where they are in a guest's memory, and written to where they belong there: no copy is between. Or
;; only the heads of the pages are put into records, and the kernel of the host takes the rest from where it is.
;; What calls this has checked that all that is read and written lies in the two memories. The guest may write to its own
;; meanwhile, so a page can be torn, as any copy of it.
(module
  (memory $work (import "work" "memory") 1)

  ;; Where the memories begin, as the kernel of the host knows it: whole numbers.
  (global $workAddress (import "work" "address") f64)
  (global $guestAddress (import "guest" "address") f64)

  (memory $guest (import "guest" "memory") 0 65536 shared)

  ;; What is kept of each page that was read: its first 16 bytes as they were copied. Those of the first page are at $headsAt.
  (memory $heads (import "heads" "memory") 1 65536 shared)
  (global $headsAt (import "heads" "at") i32)

  ;; include encode-run.wat, $pages is $guest

  (func $keepHead (param $page i32) (param $head v128)
    (v128.store $heads
      (i32.add (global.get $headsAt) (i32.shr_u (local.get $page) (i32.const 8)))
      (local.get $head)))

  ;; An entry of a vector of `writev` or `readv`.
  (func $putPlace (param $at i32) (param $address i64) (param $length i32)
    (i64.store $work (local.get $at) (local.get $address))
    (i64.store $work offset=8 (local.get $at) (i64.extend_i32_u (local.get $length))))

  ;; As `encodeRun`, but a record of a page ends with the page's first 16 bytes, behind which the rest is to be taken from the
  ;; guest's memory. So each makes two entries of the vector at `vector`: what of the work memory comes before, from `from`
  ;; on, and that rest. Leaves the place behind the last byte that is in the vector in the second result word.
  (func (export "encodeHeads")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32) (param $named i32) (param $out i32)
    (param $vector i32) (param $from i32) (result i32)
    (local $head v128) (local $word i64) (local $zeros i32) (local $zero i32) (local $n i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (call $forgetZeros)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (local.set $zero (call $isZero (local.get $page)))
        (local.set $out
          (call $putRecord (local.get $out) (local.get $word) (local.get $zero) (local.get $named)))
        (local.set $named (i32.const 0))
        (if (local.get $zero)
          (then
            (i32.store8 $work (local.get $out) (i32.const 0))
            (local.set $out (i32.add (local.get $out) (i32.const 1)))
            (local.set $zeros (i32.add (local.get $zeros) (i32.const 1)))
            (call $noteZero (local.get $n))
            (call $keepHead (local.get $page) (v128.const i64x2 0 0)))
          (else
            ;; Read once: what is kept is what is sent.
            (local.set $head (v128.load $guest (local.get $page)))
            (v128.store $work (local.get $out) (local.get $head))
            (call $keepHead (local.get $page) (local.get $head))
            (local.set $out (i32.add (local.get $out) (i32.const 16)))
            (call $putPlace
              (local.get $vector)
              (i64.add (i64.trunc_f64_u (global.get $workAddress)) (i64.extend_i32_u (local.get $from)))
              (i32.sub (local.get $out) (local.get $from)))
            (call $putPlace
              (i32.add (local.get $vector) (i32.const 16))
              (i64.add
                (i64.trunc_f64_u (global.get $guestAddress))
                (i64.extend_i32_u (i32.add (local.get $page) (i32.const 16))))
              (i32.const 4080))
            (local.set $vector (i32.add (local.get $vector) (i32.const 32)))
            (local.set $from (local.get $out))))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store $work (i32.const 0) (local.get $zeros))
    (i32.store $work (i32.const 4) (local.get $from))
    (local.get $out))

  ;; For pages that go out without a record: of each that does not have only zeros, writes the offset at `words` and the first
  ;; 16 bytes at `heads`, one behind the other, and makes two entries of the vector: those bytes, and the rest of the page in
  ;; the guest's memory. Says which have only zeros as `encodeRun` does.
  (func (export "gatherPages")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32)
    (param $words i32) (param $heads i32) (param $vector i32)
    (local $head v128) (local $word i64) (local $zeros i32) (local $n i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (call $forgetZeros)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (if (call $isZero (local.get $page))
          (then
            (local.set $zeros (i32.add (local.get $zeros) (i32.const 1)))
            (call $noteZero (local.get $n))
            (call $keepHead (local.get $page) (v128.const i64x2 0 0)))
          (else
            (call $putWord (local.get $words) (local.get $word))
            (local.set $words (i32.add (local.get $words) (i32.const 8)))
            ;; Read once: what is kept is what is sent.
            (local.set $head (v128.load $guest (local.get $page)))
            (v128.store $work (local.get $heads) (local.get $head))
            (call $keepHead (local.get $page) (local.get $head))
            (call $putPlace
              (local.get $vector)
              (i64.add (i64.trunc_f64_u (global.get $workAddress)) (i64.extend_i32_u (local.get $heads)))
              (i32.const 16))
            (call $putPlace
              (i32.add (local.get $vector) (i32.const 16))
              (i64.add
                (i64.trunc_f64_u (global.get $guestAddress))
                (i64.extend_i32_u (i32.add (local.get $page) (i32.const 16))))
              (i32.const 4080))
            (local.set $heads (i32.add (local.get $heads) (i32.const 16)))
            (local.set $vector (i32.add (local.get $vector) (i32.const 32)))))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store $work (i32.const 0) (local.get $zeros)))

  ;; As `encodeRun`, up to the first page that does not have only zeros.
  (func (export "encodeZeros")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32) (param $named i32) (param $out i32)
    (result i32)
    (local $word i64) (local $n i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (br_if $done (i32.eqz (call $isZero (local.get $page))))
        (local.set $out
          (call $putRecord (local.get $out) (local.get $word) (i32.const 1) (local.get $named)))
        (local.set $named (i32.const 0))
        (i32.store8 $work (local.get $out) (i32.const 0))
        (local.set $out (i32.add (local.get $out) (i32.const 1)))
        (call $keepHead (local.get $page) (v128.const i64x2 0 0))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store $work (i32.const 0) (local.get $n))
    (local.get $out))

  ;; Makes the vector of `readv` for the records of `count` pages that follow each other: their words are to go to `words`, one
  ;; behind the other, and the pages to `page` and behind it.
  (func (export "expectRun") (param $page i32) (param $count i32) (param $words i32) (param $vector i32)
    (local $word i64) (local $place i64)
    (local.set $word
      (i64.add (i64.trunc_f64_u (global.get $workAddress)) (i64.extend_i32_u (local.get $words))))
    (local.set $place
      (i64.add (i64.trunc_f64_u (global.get $guestAddress)) (i64.extend_i32_u (local.get $page))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $putPlace (local.get $vector) (local.get $word) (i32.const 8))
        (call $putPlace (i32.add (local.get $vector) (i32.const 16)) (local.get $place) (i32.const 4096))
        (local.set $vector (i32.add (local.get $vector) (i32.const 32)))
        (local.set $word (i64.add (local.get $word) (i64.const 8)))
        (local.set $place (i64.add (local.get $place) (i64.const 4096)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))

  ;; Copies the pages of `count` records of pages, of which the first is at `at`, to `page` and behind it.
  (func (export "storeRun") (param $at i32) (param $count i32) (param $page i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (memory.copy $guest $work
          (local.get $page)
          (i32.add (local.get $at) (i32.const 8))
          (i32.const 4096))
        (local.set $at (i32.add (local.get $at) (i32.const 4104)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))
)
