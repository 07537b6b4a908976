  ;; Copies at least one byte, and writes no other ones: the last chunk of 16 bytes may overlap the one before it.
  ;; memory.copy calls out of the module, which takes longer than a short copy.
  (func $copy (param $to i32) (param $from i32) (param $count i32)
    (local $last i32)
    (if (i32.gt_u (local.get $count) (i32.const 256))
      (then
        (memory.copy (local.get $to) (local.get $from) (local.get $count))
        (return)))
    (if (i32.ge_u (local.get $count) (i32.const 16))
      (then
        (local.set $last (i32.sub (local.get $count) (i32.const 16)))
        (v128.store
          (i32.add (local.get $to) (local.get $last))
          (v128.load (i32.add (local.get $from) (local.get $last))))
        (loop $next
          (v128.store (local.get $to) (v128.load (local.get $from)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (local.set $from (i32.add (local.get $from) (i32.const 16)))
          (br_if $next
            (i32.ge_u
              (local.tee $count (i32.sub (local.get $count) (i32.const 16)))
              (i32.const 16))))
        (return)))
    (if (i32.ge_u (local.get $count) (i32.const 8))
      (then
        (local.set $last (i32.sub (local.get $count) (i32.const 8)))
        (i64.store
          (i32.add (local.get $to) (local.get $last))
          (i64.load (i32.add (local.get $from) (local.get $last))))
        (i64.store (local.get $to) (i64.load (local.get $from)))
        (return)))
    (if (i32.ge_u (local.get $count) (i32.const 4))
      (then
        (local.set $last (i32.sub (local.get $count) (i32.const 4)))
        (i32.store
          (i32.add (local.get $to) (local.get $last))
          (i32.load (i32.add (local.get $from) (local.get $last))))
        (i32.store (local.get $to) (i32.load (local.get $from)))
        (return)))
    (loop $next
      (i32.store8 (local.get $to) (i32.load8_u (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
