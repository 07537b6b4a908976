;; Records of whole pages, and deltas applied to pages, in the work memory. What calls this has checked that all
;; that is read and written lies in it.
;;
;; The first bytes are fixed: 0 result word, 16 the counted name of a RAM block (see work-memory.ts).
(module
  (memory (import "work" "memory") 1)

  ;; Whether a page has only zeros. Most pages that do not are found in their first bytes.
  (func $isZero (param $at i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.const 4096)))
    (loop $next
      (if
        (v128.any_true
          (v128.or
            (v128.or (v128.load (local.get $at)) (v128.load offset=16 (local.get $at)))
            (v128.or (v128.load offset=32 (local.get $at)) (v128.load offset=48 (local.get $at)))))
        (then (return (i32.const 0))))
      (br_if $next
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 64)))
          (local.get $end))))
    (i32.const 1))

  ;; Copies a page to a lower place that may overlap it.
  (func $copyPage (param $to i32) (param $from i32)
    (local $end i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $from) (i32.const 4096)))
    (loop $next
      (local.set $a (v128.load (local.get $from)))
      (local.set $b (v128.load offset=16 (local.get $from)))
      (local.set $c (v128.load offset=32 (local.get $from)))
      (local.set $d (v128.load offset=48 (local.get $from)))
      (v128.store (local.get $to) (local.get $a))
      (v128.store offset=16 (local.get $to) (local.get $b))
      (v128.store offset=32 (local.get $to) (local.get $c))
      (v128.store offset=48 (local.get $to) (local.get $d))
      (local.set $to (i32.add (local.get $to) (i32.const 64)))
      (br_if $next
        (i32.lt_u
          (local.tee $from (i32.add (local.get $from) (i32.const 64)))
          (local.get $end)))))

  (func $putWord (param $at i32) (param $word i64)
    (v128.store64_lane 0
      (local.get $at)
      (i8x16.shuffle 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
        (i64x2.splat (local.get $word))
        (i64x2.splat (local.get $word)))))

  (func $wordOf (param $high i32) (param $low i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $high)) (i64.const 32))
      (i64.extend_i32_u (local.get $low))))

  ;; Writes the records of `count` pages that follow each other in a block. Returns the place behind them, and
  ;; leaves the number of pages of zeros in the result word.
  (func (export "encodeRun")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32) (param $named i32) (param $out i32)
    (result i32)
    (local $word i64) (local $zeros i32) (local $zero i32) (local $name i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $zero (call $isZero (local.get $page)))
        (call $putWord
          (local.get $out)
          (i64.or
            (local.get $word)
            (i64.or
              (select (i64.const 0x02) (i64.const 0x08) (local.get $zero))
              (select (i64.const 0) (i64.const 0x20) (local.get $named)))))
        (local.set $out (i32.add (local.get $out) (i32.const 8)))
        (if (local.get $named)
          (then
            (local.set $named (i32.const 0))
            (local.set $name (i32.add (i32.load8_u (i32.const 16)) (i32.const 1)))
            (memory.copy (local.get $out) (i32.const 16) (local.get $name))
            (local.set $out (i32.add (local.get $out) (local.get $name)))))
        (if (local.get $zero)
          (then
            (i32.store8 (local.get $out) (i32.const 0))
            (local.set $out (i32.add (local.get $out) (i32.const 1)))
            (local.set $zeros (i32.add (local.get $zeros) (i32.const 1))))
          (else
            (memory.copy (local.get $out) (local.get $page) (i32.const 4096))
            (local.set $out (i32.add (local.get $out) (i32.const 4096)))))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 0) (local.get $zeros))
    (local.get $out))

  ;; Bit n of the two result words: whether page n has only zeros. Returns how many of the at most 64 have.
  (func (export "zeroPages") (param $page i32) (param $count i32) (result i32)
    (local $bits i64) (local $n i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $bits
          (i64.or
            (local.get $bits)
            (i64.shl (i64.extend_i32_u (call $isZero (local.get $page))) (local.get $n))))
        (local.set $n (i64.add (local.get $n) (i64.const 1)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i64.store (i32.const 0) (local.get $bits))
    (i32.wrap_i64 (i64.popcnt (local.get $bits))))

  ;; Counts the records from `at` on that are whole, of pages that follow each other, and of the kind of the first:
  ;; all pages, or all pages of zeros. Moves the bodies of pages down to the body of the first.
  (func (export "decodeRun")
    (param $at i32) (param $end i32) (param $high i32) (param $low i32) (param $most i32) (result i32)
    (local $word i64) (local $count i32) (local $to i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (local.set $to (i32.add (local.get $at) (i32.const 8)))
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 9))
      (then (return (i32.const 0))))
    (if (call $hasWord (local.get $at) (i64.or (local.get $word) (i64.const 0x22)))
      (then
        (loop $nextZero
          (br_if 1 (i32.eq (local.get $count) (local.get $most)))
          (br_if 1 (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 9)))
          (br_if 1
            (i32.eqz (call $hasWord (local.get $at) (i64.or (local.get $word) (i64.const 0x22)))))
          (br_if 1 (i32.load8_u offset=8 (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 9)))
          (local.set $word (i64.add (local.get $word) (i64.const 4096)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br $nextZero)))
      (else
        (loop $nextPage
          (br_if 1 (i32.eq (local.get $count) (local.get $most)))
          (br_if 1 (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 4104)))
          (br_if 1
            (i32.eqz (call $hasWord (local.get $at) (i64.or (local.get $word) (i64.const 0x28)))))
          (if (local.get $count)
            (then (call $copyPage (local.get $to) (i32.add (local.get $at) (i32.const 8)))))
          (local.set $to (i32.add (local.get $to) (i32.const 4096)))
          (local.set $at (i32.add (local.get $at) (i32.const 4104)))
          (local.set $word (i64.add (local.get $word) (i64.const 4096)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br $nextPage))))
    (local.get $count))

  (func $hasWord (param $at i32) (param $word i64) (result i32)
    (i64.eq
      (i64x2.extract_lane 0
        (i8x16.shuffle 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
          (v128.load64_zero (local.get $at))
          (v128.load64_zero (local.get $at))))
      (local.get $word)))

  ;; The length at `at` and how many bytes it takes, as length * 4 + bytes. 0 when there is none: one byte must
  ;; follow it at least.
  (func $runLength (param $at i32) (param $end i32) (result i32)
    (local $low i32) (local $high i32)
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 2))
      (then (return (i32.const 0))))
    (local.set $low (i32.load8_u (local.get $at)))
    (if (i32.lt_u (local.get $low) (i32.const 0x80))
      (then (return (i32.or (i32.shl (local.get $low) (i32.const 2)) (i32.const 1)))))
    (local.set $high (i32.load8_u offset=1 (local.get $at)))
    (if (i32.ge_u (local.get $high) (i32.const 0x80))
      (then (return (i32.const 0))))
    (i32.or
      (i32.or
        (i32.shl (i32.and (local.get $low) (i32.const 0x7f)) (i32.const 2))
        (i32.shl (local.get $high) (i32.const 9)))
      (i32.const 2)))

  ;; Applies a delta to a page; checks it only when `page` is -1. Returns 0 when the delta is broken: the page may
  ;; then be changed in part.
  (func (export "applyDelta") (param $delta i32) (param $length i32) (param $page i32) (result i32)
    (local $end i32) (local $at i32) (local $run i32) (local $first i32)
    (local.set $end (i32.add (local.get $delta) (local.get $length)))
    (local.set $first (i32.const 1))
    (loop $next
      ;; Unchanged: may be nothing in front of the first run only.
      (local.set $run (call $runLength (local.get $delta) (local.get $end)))
      (if (i32.lt_u (local.get $run) (select (i32.const 1) (i32.const 4) (local.get $first)))
        (then (return (i32.const 0))))
      (local.set $first (i32.const 0))
      (local.set $delta
        (i32.add (local.get $delta) (i32.and (local.get $run) (i32.const 3))))
      (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $run) (i32.const 2))))
      ;; Changed.
      (local.set $run (call $runLength (local.get $delta) (local.get $end)))
      (if (i32.lt_u (local.get $run) (i32.const 4))
        (then (return (i32.const 0))))
      (local.set $delta
        (i32.add (local.get $delta) (i32.and (local.get $run) (i32.const 3))))
      (local.set $run (i32.shr_u (local.get $run) (i32.const 2)))
      (if
        (i32.or
          (i32.gt_u (i32.add (local.get $at) (local.get $run)) (i32.const 4096))
          (i32.gt_u (local.get $run) (i32.sub (local.get $end) (local.get $delta))))
        (then (return (i32.const 0))))
      (if (i32.ne (local.get $page) (i32.const -1))
        (then
          (call $copy
            (i32.add (local.get $page) (local.get $at))
            (local.get $delta)
            (local.get $run))))
      (local.set $delta (i32.add (local.get $delta) (local.get $run)))
      (local.set $at (i32.add (local.get $at) (local.get $run)))
      (br_if $next (i32.lt_u (local.get $delta) (local.get $end))))
    (i32.const 1))

  ;; include copy.wat
)
