;; Copies between a guest's memory, which is shared, and a work memory that pages are sent from or come in. A copy by
;; TypedArray.set from or to shared memory goes word by word, memory.copy does not. Over memory that is in no cache
;; it is also faster than a loop of vectors.
(module
  (memory $shadows (import "shadows" "memory") 2 65536 shared)
  (memory $guest (import "guest" "memory") 0 65536 shared)
  (memory $work (import "work" "memory") 1)

  ;; Copies pages to `to`, and keeps the first 16 bytes of each as they were copied (see harvest.wat).
  (func (export "read") (param $page i32) (param $count i32) (param $to i32)
    (local $end i32) (local $shadow i32)
    (local.set $shadow
      (i32.add (i32.const 0x20000) (i32.shl (local.get $page) (i32.const 4))))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 12))))
    (memory.copy $work $guest
      (local.get $to)
      (i32.shl (local.get $page) (i32.const 12))
      (i32.shl (local.get $count) (i32.const 12)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (v128.store $shadows (local.get $shadow) (v128.load $work (local.get $to)))
        (local.set $shadow (i32.add (local.get $shadow) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 4096)))
        (br $next))))

  ;; Copies whole pages from `from` into the guest's memory.
  (func (export "write") (param $page i32) (param $count i32) (param $from i32)
    (memory.copy $guest $work
      (i32.shl (local.get $page) (i32.const 12))
      (local.get $from)
      (i32.shl (local.get $count) (i32.const 12))))
)
