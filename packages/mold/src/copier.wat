;; The copy loops of mold, 16 bytes at a time (SIMD). `node scripts/wat.mjs` compiles this to
;; copier.wasm.ts.
;;
;; Copies read and write up to 32 bytes past the end. Memory is little-endian, packets are big-endian.
(module
  (import "mproxy" "memory" (memory 1))

  ;; After `pack`: the offset of the next message header, and the number of messages.
  (global $head (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  (func (export "head") (result i32) (global.get $head))
  (func (export "count") (result i32) (global.get $count))

  (func $swap (param $n i32) (result i32)
    (i32.or (i32.shl (i32.and (local.get $n) (i32.const 0xff)) (i32.const 8))
            (i32.shr_u (local.get $n) (i32.const 8))))

  ;; Packs the lines from `read` to `end` into messages at `at`, up to `limit`. Bytes after the last newline
  ;; are a message too. Returns the offset of the remaining bytes.
  (func (export "pack") (param $read i32) (param $end i32) (param $at i32) (param $limit i32) (result i32)
    (local $from i32) (local $to i32) (local $found i32) (local $count i32) (local $bytes v128)
    (block $done
      (loop $line
        (br_if $done (i32.ge_u (local.get $read) (local.get $end)))
        (local.set $from (local.get $read))
        (local.set $to (i32.add (local.get $at) (i32.const 2)))
        (block $whole
          (loop $more
            (local.set $bytes (v128.load align=1 (local.get $from)))
            (v128.store align=1 (local.get $to) (local.get $bytes))
            ;; One bit for each of the 16 bytes that is a newline.
            (local.set $found (i8x16.bitmask (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 10)))))
            (if (local.get $found)
              (then
                (local.set $found (i32.add (i32.ctz (local.get $found)) (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (local.get $found)))
                (local.set $to (i32.add (local.get $to) (local.get $found)))
                (br $whole)))
            (local.set $from (i32.add (local.get $from) (i32.const 16)))
            (local.set $to (i32.add (local.get $to) (i32.const 16)))
            ;; A last line without a newline may end up to 15 bytes before this.
            (br_if $done (i32.gt_u (local.get $to) (i32.add (local.get $limit) (i32.const 15))))
            (br_if $more (i32.lt_u (local.get $from) (local.get $end)))))
        ;; Other data follows the end.
        (if (i32.gt_u (local.get $from) (local.get $end))
          (then
            (local.set $to (i32.sub (local.get $to) (i32.sub (local.get $from) (local.get $end))))
            (local.set $from (local.get $end))))
        (br_if $done (i32.gt_u (local.get $to) (local.get $limit)))
        (i32.store16 align=1 (local.get $at)
          (call $swap (i32.sub (i32.sub (local.get $to) (local.get $at)) (i32.const 2))))
        (local.set $at (local.get $to))
        (local.set $read (local.get $from))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $line)))
    (global.set $head (local.get $at))
    (global.set $count (local.get $count))
    (local.get $read))

  ;; Copies `count` contiguous messages at `from`, each after its length, to `to` without the lengths, and
  ;; writes these to `sizes`, little-endian. Returns the end of the copied messages.
  (func (export "strip") (param $from i32) (param $count i32) (param $to i32) (param $sizes i32) (result i32)
    (local $size i32) (local $done i32)
    (block $none
      (br_if $none (i32.eqz (local.get $count)))
      (loop $message
        (local.set $size (call $swap (i32.load16_u align=1 (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (i32.store16 align=1 (local.get $sizes) (local.get $size))
        (local.set $sizes (i32.add (local.get $sizes) (i32.const 2)))
        (local.set $done (i32.const 0))
        (loop $more
          (v128.store align=1 (i32.add (local.get $to) (local.get $done))
            (v128.load align=1 (i32.add (local.get $from) (local.get $done))))
          (local.set $done (i32.add (local.get $done) (i32.const 16)))
          (br_if $more (i32.lt_u (local.get $done) (local.get $size))))
        (local.set $from (i32.add (local.get $from) (local.get $size)))
        (local.set $to (i32.add (local.get $to) (local.get $size)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br_if $message (local.get $count))))
    (local.get $to)))
