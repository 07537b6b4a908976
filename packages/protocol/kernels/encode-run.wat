  ;; Whether a page has only zeros. Most pages that do not are found in their first bytes.
  (func $isZero (param $at i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.const 4096)))
    (loop $next
      (if
        (v128.any_true
          (v128.or
            (v128.or (v128.load $pages (local.get $at)) (v128.load $pages offset=16 (local.get $at)))
            (v128.or
              (v128.load $pages offset=32 (local.get $at))
              (v128.load $pages offset=48 (local.get $at)))))
        (then (return (i32.const 0))))
      (br_if $next
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 64)))
          (local.get $end))))
    (i32.const 1))

  (func $putWord (param $at i32) (param $word i64)
    (v128.store64_lane $work 0
      (local.get $at)
      (i8x16.shuffle 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
        (i64x2.splat (local.get $word))
        (i64x2.splat (local.get $word)))))

  (func $wordOf (param $high i32) (param $low i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $high)) (i64.const 32))
      (i64.extend_i32_u (local.get $low))))

  (func $forgetZeros
    (v128.store $work (i32.const 320) (v128.const i64x2 0 0))
    (v128.store $work (i32.const 336) (v128.const i64x2 0 0))
    (v128.store $work (i32.const 352) (v128.const i64x2 0 0))
    (v128.store $work (i32.const 368) (v128.const i64x2 0 0)))

  ;; Sets bit n of the pages of zeros.
  (func $noteZero (param $n i32)
    (local $at i32)
    (local.set $at (i32.add (i32.const 320) (i32.shl (i32.shr_u (local.get $n) (i32.const 5)) (i32.const 2))))
    (i32.store $work
      (local.get $at)
      (i32.or (i32.load $work (local.get $at)) (i32.shl (i32.const 1) (local.get $n)))))

  ;; Writes the start of a record, up to where the page or the byte that fills it goes. Returns the place behind it.
  (func $putRecord (param $out i32) (param $word i64) (param $zero i32) (param $named i32) (result i32)
    (local $name i32)
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
        (local.set $name (i32.add (i32.load8_u $work (i32.const 16)) (i32.const 1)))
        (memory.copy $work $work (local.get $out) (i32.const 16) (local.get $name))
        (local.set $out (i32.add (local.get $out) (local.get $name)))))
    (local.get $out))

  ;; Writes the records of `count` pages that follow each other in a block. Returns the place behind them, and
  ;; leaves the number of pages of zeros in the result word, and which they are in the bits.
  (func (export "encodeRun")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32) (param $named i32) (param $out i32)
    (result i32)
    (local $word i64) (local $zeros i32) (local $zero i32) (local $n i32)
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
            (memory.copy $work $pages (local.get $out) (local.get $page) (i32.const 4096))
            (call $keepHead (local.get $page) (v128.load $work (local.get $out)))
            (local.set $out (i32.add (local.get $out) (i32.const 4096)))))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store $work (i32.const 0) (local.get $zeros))
    (local.get $out))
